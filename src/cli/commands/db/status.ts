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
  const found = await (await (await open()).schema()).status();
  const isCurrent = found.pending.length === 0 && found.unknown.length === 0;
  return {
    view: schemaStatus(found),
    exitCode: isCurrent ? EXIT.done : EXIT.state,
    notes: found.pending.length === 0 ? [] : ['Run `jwtctl db migrate`.'],
  };
};
