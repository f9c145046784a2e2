import { writeAuditRow } from '../../../domain/audit-log/write-audit-row.js';
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
  if (globals.dryRun) return { view: migrationReport(await schema.plan(), true) };

  const applied = await schema.migrate();
  const last = applied.at(-1);
  if (last !== undefined) {
    const { clock, actor } = context;
    const reason = `${applied.length} migration(s) applied`;
    // After the migration, because the first one creates the audit log.
    const ports = { database: await context.database(), clock, actor };
    await writeAuditRow(ports, { action: 'db.migrate', target: last, outcome: 'done', reason });
  }
  return { view: migrationReport(applied, false) };
};
