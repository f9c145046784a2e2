import { type ExportedAuditRow, exportAuditLog } from '../../../domain/audit-log/export-audit-log.js';
import type { Action, DefineCommand } from '../../invocation.js';
import { auditExport, auditLine, auditStream } from '../../output/views/audit.js';

export const defineExport: DefineCommand = (group, run) => {
  group
    .command('export')
    .argument('<file>', 'file to create, readable only by its owner, or - for standard output')
    .description(
      'Write all rows of the audit log, with their hashes, as NDJSON.\n\nAn exported row can be verified without the database: see docs/storage.md.',
    )
    .examples('jwtctl audit export audit-2026-q1.ndjson', 'jwtctl audit export - | gzip > audit.ndjson.gz')
    .action(run(exportRows));
};

const exportRows: Action<object, [string]> = async (invocation, _flags, name) => {
  const { globals, signal } = invocation;
  const file = name === '-' ? null : invocation.privateFile(name);
  const { auditLog } = await (await invocation.context({ migratesEmbedded: false })).database();
  if (file === null) return { view: auditStream(exportAuditLog(auditLog)) };
  await file.assertFree();
  if (!globals.dryRun) await file.create();
  try {
    const exported = { rows: 0, firstSeq: null as number | null, last: null as ExportedAuditRow | null };
    for await (const portion of exportAuditLog(auditLog)) {
      signal.throwIfAborted();
      if (!globals.dryRun) await file.append(portion.map(auditLine).join(''));
      exported.rows += portion.length;
      exported.firstSeq ??= portion[0]?.seq ?? null;
      exported.last = portion.at(-1) ?? null;
    }
    await file.close();
    return { view: auditExport({ ...exported, file: file.path }, globals.dryRun) };
  } catch (error) {
    if (!globals.dryRun) await file.discard();
    throw error;
  }
};
