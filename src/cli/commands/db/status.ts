import { ERROR_CODES } from '../../../domain/shared/error-catalog/index.js';
import { JwtctlError } from '../../../domain/shared/errors.js';
import type { Action, DefineCommand } from '../../invocation.js';
import { EXIT } from '../../output/exit-code.js';
import { schemaStatus } from '../../output/views/db/schema.js';

export const defineStatus: DefineCommand = (group, run) => {
  group
    .command('status')
    .description('Show which schema migrations are applied.\n\nExits with 3 if the schema is not up to date.')
    .examples('jwtctl db status', 'jwtctl db status --json')
    .action(run(status));
};

const status: Action<object, []> = async ({ context: open }) => {
  const schema = await (await open()).schema();
  const found = await schema.status();
  const isCurrent = found.pending.length === 0 && found.unknown.length === 0;
  const obstacle = isCurrent ? null : await obstacleOf(schema.plan);
  return {
    view: schemaStatus(found),
    exitCode: isCurrent ? EXIT.done : EXIT.state,
    notes: found.pending.length === 0 || obstacle !== null ? [] : ['Run `jwtctl db migrate`.'],
    warnings: obstacle === null ? [] : [obstacle],
  };
};

/** Returns why `db migrate` would fail; null if it would not. */
async function obstacleOf(plan: () => Promise<unknown>): Promise<string | null> {
  try {
    await plan();
    return null;
  } catch (error) {
    if (!(error instanceof JwtctlError && error.kind === 'state')) throw error;
    return `${error.message} ${error.hint ?? ERROR_CODES[error.code].remedy}`;
  }
}
