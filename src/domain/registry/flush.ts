import { writeAuditRow } from '../audit-log/write-audit-row.js';
import type { BackupFiles } from '../ports/backup-file.js';
import type {
  Administration,
  EntryFilter,
  GlobalRemoval,
  PrivateFile,
  WalkControl,
  WalkOptions,
} from '../ports/index.js';
import { pluralize } from '../shared/pluralize.js';
import { countMatching } from './count-matching.js';
import { type ExportReport, exportEntries } from './export-entries.js';
import { type KeyCount, KeysById } from './keys-by-id.js';

export interface FlushInput extends WalkControl {
  sub?: string | undefined;
  filter: EntryFilter;
  target: string;
}

export interface FlushReport extends Omit<ExportReport, 'byKeyId'> {
  byKid: KeyCount[];
  backup: string | null;
}

export async function countFlush(ports: Administration, input: FlushInput): Promise<FlushReport> {
  const keys = new KeysById(ports.database);
  const matching = await (input.sub === undefined
    ? walkRegistry(ports, input, (options) => countMatching(ports.registry, input.filter, options))
    : exportEntries(ports, keys, { ...input, backup: null, removes: false }));
  return reportOf(matching, keys, null);
}

/**
 * Removes entries, after writing them to a backup if `into` is given.
 * @throws JwtctlError of the stores, the keyring, and the file, before the first removal; leaves no file then
 */
export async function flush(
  ports: Administration,
  input: FlushInput,
  into?: { backups: BackupFiles; file: PrivateFile },
): Promise<FlushReport> {
  const backup = await makeBackup(ports, into);
  const backupNote = backup === null ? null : `backup ${backup.path}`;
  const row = { action: 'cache.flush', target: input.target };
  try {
    // Before the removal, so that an interrupted flush is recorded too.
    await writeAuditRow(ports, { ...row, outcome: 'begun', reason: backupNote });
  } catch (error) {
    await backup?.abandon();
    throw error;
  }
  const keys = new KeysById(ports.database);
  const remove = (filter: EntryFilter) =>
    walkRegistry(ports, input, (options) => ports.registry.removeEverywhere(filter, options));
  let done: ExportReport;
  if (backup === null && input.sub === undefined) done = await remove(input.filter);
  else {
    done = await exportEntries(ports, keys, { ...input, backup, removes: true });
    // A backup has no families: without their entries, their sessions would go on.
    const families: EntryFilter = { ...input.filter, familiesOnly: true };
    if (done.complete && input.sub !== undefined)
      await ports.registry.remove(input.sub, families, ports.clock.now());
    else if (done.complete) {
      const { complete, missed } = await remove(families);
      done = { ...done, complete, missed };
    }
  }
  const outcome = done.complete ? 'done' : 'partial';
  const what = [
    `${pluralize(done.removed, 'entry', 'entries')} removed`,
    ...(backupNote === null ? [] : [backupNote]),
  ];
  await writeAuditRow(ports, { ...row, outcome, reason: what.join(', ') });
  return reportOf(done, keys, backup?.path ?? null);
}

async function makeBackup(
  { registry, clock }: Administration,
  into: { backups: BackupFiles; file: PrivateFile } | undefined,
) {
  const { backend, prefix } = registry;
  return (await into?.backups.create(into.file, { createdAt: clock.now(), backend, prefix })) ?? null;
}

async function walkRegistry(
  { clock }: Administration,
  { signal, onProgress }: WalkControl,
  walk: (options: WalkOptions) => Promise<GlobalRemoval>,
): Promise<ExportReport> {
  const removal = await walk({ now: clock.now(), signal, onProgress });
  const byKeyId = removal.byKeyId.map(({ keyId, matched }) => ({ keyId, entries: matched }));
  return { ...removal, byKeyId };
}

async function reportOf(done: ExportReport, keys: KeysById, backup: string | null): Promise<FlushReport> {
  const { matched, removed, subjects, byNode, complete, missed } = done;
  const byKid = await keys.countByKid(done.byKeyId);
  return { matched, removed, subjects, byNode, byKid, backup, complete, missed };
}
