import type { Manifests } from '../ports/backup-file.js';
import type { Administration, PrivateFile } from '../ports/index.js';
import { type FilingReport, fileEntries } from './export-entries.js';
import { type KeyCount, KeysById } from './key-names.js';
import type { WalkControl } from './walk-options.js';

export interface SnapshotReport extends Pick<FilingReport, 'subjects' | 'complete' | 'missed'> {
  /** Null where none was to be made. */
  manifest: string | null;
  entries: number;
  byKid: KeyCount[];
}

/**
 * Writes what lives in the registry into a new manifest, and changes nothing.
 *
 * @param into null: it is only counted
 * @throws JwtctlError what the stores, the keyring and the file throw before an entry is written; there is no file then
 */
export async function takeSnapshot(
  ports: Pick<Administration, 'database' | 'registry' | 'clock'>,
  into: { manifests: Manifests; file: PrivateFile } | null,
  control: WalkControl,
): Promise<SnapshotReport> {
  const { registry, clock } = ports;
  const { backend, prefix } = registry;
  const facts = { createdAt: clock.now(), backend, prefix };
  const manifest = into === null ? null : await into.manifests.create(into.file, facts);
  const keys = new KeysById(ports.database);
  const filed = await fileEntries(ports, keys, { ...control, filter: {}, manifest, removes: false });
  const { matched, subjects, byKeyId, complete, missed } = filed;
  const byKid = await keys.countByKid(byKeyId);
  return { manifest: manifest?.path ?? null, entries: matched, subjects, byKid, complete, missed };
}
