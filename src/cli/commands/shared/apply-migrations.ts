import type { Context } from '../../../app/context.js';
import { writeAuditRow } from '../../../domain/audit-log/write-audit-row.js';
import { pluralize } from '../../../domain/shared/pluralize.js';

/** Applies the pending migrations, and returns their names. */
export async function applyMigrations(context: Context): Promise<string[]> {
  const applied = await (await context.schema()).migrate();
  const last = applied.at(-1);
  if (last !== undefined) {
    const { clock, actor } = context;
    const reason = `${pluralize(applied.length, 'migration')} applied`;
    // After the migration, because the first one creates the audit log.
    const ports = { database: await context.database(), clock, actor };
    await writeAuditRow(ports, { action: 'db.migrate', target: last, outcome: 'done', reason });
  }
  return applied;
}
