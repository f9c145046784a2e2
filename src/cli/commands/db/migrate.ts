import type { Context } from '../../../app/context.js';
import type { Action, DefineCommand } from '../../invocation.js';
import { migrationReport } from '../../output/views/db/schema.js';

export const defineMigrate: DefineCommand = (group, run) => {
  group
    .command('migrate')
    .description('Apply pending schema migrations.\n\nSafe to run again, and from several hosts at once.')
    .examples('jwtctl db migrate', 'jwtctl db migrate --dry-run')
    .action(run(migrate));
};

const migrate: Action<object, []> = async ({ context: open, globals }) => {
  const context = await open();
  const schema = await context.schema();
  if (globals.dryRun) return { view: migrationReport((await schema.status()).pending, true) };

  const applied = await schema.migrate();
  if (applied.length > 0) await recordMigration(context, applied);
  return { view: migrationReport(applied, false) };
};

/** Runs after the migration, because the first one creates the audit log. */
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
