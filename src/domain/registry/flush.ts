import type { BackupFiles } from '../ports/backup-file.js';
import type { Administration, EntryFilter, GlobalRemoval, PrivateFile, WalkOptions } from '../ports/index.js';
import { countMatching } from './count-matching.js';
import { type ExportReport, exportEntries } from './export-entries.js';
import { type KeyCount, KeysById } from './key-names.js';
import { type WalkControl, walkControl } from './walk-options.js';

export interface FlushInput extends WalkControl {
  /** Only this subject's entries. */
  sub?: string;
  filter: EntryFilter;
  /** What was asked for, in words, for the audit log. */
  target: string;
}

export interface FlushReport extends Omit<ExportReport, 'byKeyId'> {
  /** Of the entries that match. */
  byKid: KeyCount[];
  /** The file that holds what was removed. */
  backup: string | null;
}

/** What a flush would remove. */
export async function countFlush(ports: Administration, input: FlushInput): Promise<FlushReport> {
  const keys = new KeysById(ports.database);
  const counted = await (input.sub === undefined
    ? walkRegistry(ports, input, (options) => countMatching(ports.registry, input.filter, options))
    : exportEntries(ports, keys, { ...input, backup: null, removes: false }));
  return reportOf(counted, keys, null);
}

/**
 * Removes entries and nothing else: their tokens are refused until something brings the entries back.
 *
 * @param into where what goes is written before it goes
 * @throws JwtctlError what the stores, the keyring and the file throw before anything is removed; there is no file then
 */
export async function flush(
  ports: Administration,
  input: FlushInput,
  into?: { backups: BackupFiles; file: PrivateFile },
): Promise<FlushReport> {
  const backup = await makeBackup(ports, into);
  const filed = backup === null ? null : `backup ${backup.path}`;
  try {
    // First, so that a flush that is cut off halfway is on record too.
    await audit(ports, input, 'begun', filed);
  } catch (error) {
    await backup?.abandon();
    throw error;
  }
  const keys = new KeysById(ports.database);
  const done =
    backup === null && input.sub === undefined
      ? await walkRegistry(ports, input, (options) => ports.registry.removeEverywhere(input.filter, options))
      : await exportEntries(ports, keys, { ...input, backup, removes: true });
  const outcome = done.complete ? 'done' : 'partial';
  const what = [`${done.removed} entries removed`, ...(filed === null ? [] : [filed])];
  await audit(ports, input, outcome, what.join(', '));
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
  control: WalkControl,
  walk: (options: WalkOptions) => Promise<GlobalRemoval>,
): Promise<ExportReport> {
  const removal = await walk({ now: clock.now(), ...walkControl(control) });
  const byKeyId = removal.byKeyId.map(({ keyId, matched }) => ({ keyId, entries: matched }));
  return { ...removal, byKeyId };
}

async function reportOf(done: ExportReport, keys: KeysById, backup: string | null): Promise<FlushReport> {
  const { matched, removed, subjects, byNode, complete, missed } = done;
  const byKid = await keys.countByKid(done.byKeyId);
  return { matched, removed, subjects, byNode, byKid, backup, complete, missed };
}

function audit(
  { database, clock, actor }: Administration,
  { target }: FlushInput,
  outcome: string,
  reason: string | null,
): Promise<void> {
  return database.transaction(({ auditLog }) =>
    auditLog.append({ at: clock.now(), actor, action: 'cache.flush', target, outcome, reason }),
  );
}
