import type { BackupFiles } from '../ports/backup-file.js';
import type { Administration, PrivateFile, WalkControl } from '../ports/index.js';
import { type ExportReport, exportEntries } from './export-entries.js';
import { type KeyCount, KeysById } from './keys-by-id.js';

export interface SnapshotReport extends Pick<ExportReport, 'subjects' | 'complete' | 'missed'> {
  backup: string | null;
  entries: number;
  byKid: KeyCount[];
}

/** Writes all live entries to a new backup. Without `into`, only counts them. Throws before any entry. */
export async function takeSnapshot(
  ports: Pick<Administration, 'database' | 'registry' | 'clock'>,
  into: { backups: BackupFiles; file: PrivateFile } | null,
  control: WalkControl,
): Promise<SnapshotReport> {
  const { registry, clock } = ports;
  const { backend, prefix } = registry;
  const facts = { createdAt: clock.now(), backend, prefix };
  const backup = into === null ? null : await into.backups.create(into.file, facts);
  const keys = new KeysById(ports.database);
  const report = await exportEntries(ports, keys, { ...control, filter: {}, backup, removes: false });
  const { matched, subjects, byKeyId, complete, missed } = report;
  const byKid = await keys.countByKid(byKeyId);
  return { backup: backup?.path ?? null, entries: matched, subjects, byKid, complete, missed };
}
