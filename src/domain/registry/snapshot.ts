import type { BackupFiles } from '../ports/backup-file.js';
import type { Administration, PrivateFile } from '../ports/index.js';
import { type ExportReport, exportEntries } from './export-entries.js';
import { type KeyCount, KeysById } from './key-names.js';
import type { WalkControl } from './walk-options.js';

export interface SnapshotReport extends Pick<ExportReport, 'subjects' | 'complete' | 'missed'> {
  /** Null where none was to be made. */
  backup: string | null;
  entries: number;
  byKid: KeyCount[];
}

/**
 * Writes what lives in the registry into a new backup, and changes nothing.
 *
 * @param into null: it is only counted
 * @throws JwtctlError what the stores, the keyring and the file throw before an entry is written; there is no file then
 */
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
  const filed = await exportEntries(ports, keys, { ...control, filter: {}, backup, removes: false });
  const { matched, subjects, byKeyId, complete, missed } = filed;
  const byKid = await keys.countByKid(byKeyId);
  return { backup: backup?.path ?? null, entries: matched, subjects, byKid, complete, missed };
}
