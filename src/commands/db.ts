import type { Context } from '../context.js';
import { EXIT } from '../output/exit-code.js';
import { migrationReport, schemaStatus } from '../output/views/database.js';
import { examples } from './examples.js';
import type { Action, DefineGroup } from './invocation.js';

export const defineDb: DefineGroup = (group, run) => {
  group
    .command('migrate')
    .description(
      'bring the schema of the database up to date; safe to run again, and by several hosts at once',
    )
    .addHelpText('after', examples('jwtctl db migrate', 'jwtctl db migrate --dry-run'))
    .action(run(migrate));

  group
    .command('status')
    .description('show which migrations are applied; exits 3 where some are missing')
    .addHelpText('after', examples('jwtctl db status', 'jwtctl db status --json'))
    .action(run(status));
};

const migrate: Action<object, []> = async ({ context: open, globals }) => {
  const context = await open();
  const schema = await context.schema();
  if (globals.dryRun) return { view: migrationReport((await schema.status()).pending, true) };

  const applied = await schema.migrate();
  if (applied.length > 0) await recordMigration(context, applied);
  return { view: migrationReport(applied, false) };
};

/** After the fact: before the first migration there is no audit log to write to. */
async function recordMigration(
  { database, clock, actor }: Context,
  applied: readonly string[],
): Promise<void> {
  const { transaction } = await database();
  const last = applied.at(-1) ?? '';
  await transaction(({ auditLog }) =>
    auditLog.append({
      at: clock.now(),
      actor,
      action: 'db.migrate',
      target: last,
      outcome: 'done',
      reason: `${applied.length} migration(s) applied`,
    }),
  );
}

const status: Action<object, []> = async ({ context: open }) => {
  const found = await (await (await open()).schema()).status();
  const isCurrent = found.pending.length === 0 && found.unknown.length === 0;
  return {
    view: schemaStatus(found),
    exitCode: isCurrent ? EXIT.done : EXIT.state,
    notes: found.pending.length === 0 ? [] : ['Run `jwtctl db migrate`.'],
  };
};
