import { type FilingReport, fileEntries } from './filing.js';
import { KeysById } from './keys-by-id.js';
import type { Manifests } from './manifest.js';
import type { Administration, PrivateFile, WalkOptions } from './ports.js';
import type { KeyState } from './signing-key.js';

export interface SnapshotReport extends Pick<FilingReport, 'subjects' | 'complete' | 'missed'> {
  manifest: string;
  entries: number;
  byKid: Array<{ kid: string; state: KeyState | null; entries: number }>;
}

/**
 * Writes what lives in the registry into a new manifest, and changes nothing.
 *
 * @throws JwtctlError what the stores, the keyring and the file throw before an entry is written; there is no file then
 */
export async function takeSnapshot(
  ports: Pick<Administration, 'database' | 'registry' | 'clock'>,
  { manifests, file }: { manifests: Manifests; file: PrivateFile },
  options: Pick<WalkOptions, 'signal' | 'onProgress'>,
): Promise<SnapshotReport> {
  const { registry, clock } = ports;
  const { backend, prefix } = registry;
  const manifest = await manifests.create(file, { createdAt: clock.now(), backend, prefix });
  const keys = new KeysById(ports.database);
  const filed = await fileEntries(ports, keys, { ...options, filter: {}, manifest, removes: false });
  const { matched, subjects, byKeyId, complete, missed } = filed;
  const byKid = await keys.countByKid(byKeyId);
  return { manifest: manifest.path, entries: matched, subjects, byKid, complete, missed };
}
