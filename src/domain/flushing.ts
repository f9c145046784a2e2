import type { Administration, AuditLog, EntryFilter, WideRemoval } from './ports.js';

export interface FlushInput {
  /** Only this subject's entries. */
  sub?: string;
  filter: EntryFilter;
  /** What was asked for, in words, for the audit log. */
  target: string;
  signal?: AbortSignal;
}

export type FlushReport = Pick<
  WideRemoval,
  'matched' | 'removed' | 'subjects' | 'byNode' | 'complete' | 'missed'
>;

/** What a flush would remove. */
export function countFlush(ports: Administration, input: FlushInput): Promise<FlushReport> {
  return input.sub === undefined
    ? ports.registry.removeEverywhere(input.filter, wideOptions(ports, input, true))
    : countSubject(ports, input.sub, input.filter);
}

/** Removes entries and nothing else: their tokens are refused until something brings the entries back. */
export async function flush(ports: Administration, input: FlushInput): Promise<FlushReport> {
  // First, so that a flush that is cut off halfway is on record too.
  await ports.database.transaction(({ auditLog }) => audit(auditLog, ports, input, 'begun', null));
  const report =
    input.sub === undefined
      ? await ports.registry.removeEverywhere(input.filter, wideOptions(ports, input, false))
      : await flushSubject(ports, input.sub, input.filter);
  const outcome = report.complete ? 'done' : 'partial';
  const reason = `${report.removed} entries removed`;
  await ports.database.transaction(({ auditLog }) => audit(auditLog, ports, input, outcome, reason));
  return report;
}

async function countSubject(
  { registry, clock }: Administration,
  sub: string,
  filter: EntryFilter,
): Promise<FlushReport> {
  const matched = (await registry.list(sub, clock.now())).filter((entry) => matches(entry, filter)).length;
  return { matched, removed: 0, subjects: Math.min(matched, 1), byNode: [], complete: true, missed: [] };
}

async function flushSubject(
  { registry, clock }: Administration,
  sub: string,
  filter: EntryFilter,
): Promise<FlushReport> {
  const { removed } = await registry.remove(sub, filter, clock.now());
  return {
    matched: removed,
    removed,
    subjects: Math.min(removed, 1),
    byNode: [],
    complete: true,
    missed: [],
  };
}

function matches(entry: { keyId: number; iat: number }, filter: EntryFilter): boolean {
  return (
    (filter.keyId === undefined || entry.keyId === filter.keyId) &&
    (filter.issuedBefore === undefined || entry.iat <= filter.issuedBefore)
  );
}

function wideOptions({ clock }: Administration, { signal }: FlushInput, dryRun: boolean) {
  return { now: clock.now(), dryRun, ...(signal === undefined ? {} : { signal }) };
}

function audit(
  auditLog: AuditLog,
  { clock, actor }: Administration,
  { target }: FlushInput,
  outcome: string,
  reason: string | null,
): Promise<void> {
  return auditLog.append({ at: clock.now(), actor, action: 'cache.flush', target, outcome, reason });
}
