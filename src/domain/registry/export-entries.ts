import { matches } from '../model/registry-entry.js';
import { type BackupWriter, backupEntry, MAX_CHUNK_ENTRIES } from '../ports/backup-file.js';
import { MAYBE_REMOVED, UNCOUNTED } from '../ports/entry-store.js';
import type { Administration, EntryFilter, ScannedEntry, ScanOutcome } from '../ports/index.js';
import { LEFT_BY_INTERRUPTION } from '../ports/registry-scanner.js';
import { ownCopy } from '../shared/detached-string.js';
import type { JwtctlError } from '../shared/errors.js';
import { isFailureOutside, isSilence } from '../shared/unavailable.js';
import { entriesBySubject, groupBy } from './group-entries.js';
import type { KeysById } from './key-names.js';
import { type SubjectPart, scanSubjects } from './scan-subjects.js';
import { type WalkControl, walkControl } from './walk-options.js';

export interface ExportInput extends WalkControl {
  /** Only this subject's entries, from its own key. */
  sub?: string;
  filter: EntryFilter;
  /** Where to; it is finished, or abandoned, with the run. Null: nothing is filed. */
  backup: BackupWriter | null;
  /** Whether what matches, and has been filed, is removed. */
  removes: boolean;
}

export interface ExportReport {
  matched: number;
  removed: number;
  subjects: number;
  byNode: Array<{ node: string; matched: number; removed: number }>;
  byKeyId: Array<{ keyId: number; entries: number }>;
  /** False where a part was not seen or not gone through to the end; `missed` says which. */
  complete: boolean;
  missed: string[];
}

/**
 * Goes through the entries that match, chunk by chunk: counts them, writes them into the backup, and then removes
 * exactly these. So an entry that is gone is in the backup, whenever the run ends and however.
 *
 * A node that is away keeps its entries and the rest goes on. Where the registry as a whole or the file fails in the middle,
 * the report says what was done by then.
 *
 * @throws JwtctlError what the registry and the file throw before anything is done
 */
export async function exportEntries(
  ports: Pick<Administration, 'registry' | 'clock'>,
  keys: KeysById,
  input: ExportInput,
): Promise<ExportReport> {
  const entryExport = new EntryExport(ports, keys, input);
  let report: ExportReport;
  /** Whether all that matches has been seen and filed, whatever came of its removal. */
  let isExported = false;
  try {
    const outcome = await scanSubjects(
      ports.registry,
      () => ({ isCounted: false }),
      (parts) => entryExport.take(parts),
      {
        now: ports.clock.now(),
        withDetails: input.backup !== null,
        ...(input.sub === undefined ? {} : { sub: input.sub }),
        ...walkControl(input),
      },
    );
    await entryExport.settleRest();
    report = entryExport.report(outcome);
    isExported = outcome.complete && !entryExport.hasWaiting;
  } catch (error) {
    if (!entryExport.hasBegun || !isFailureOutside(error)) {
      await input.backup?.abandon();
      throw error;
    }
    report = entryExport.report({ complete: false, missed: [`what was left: ${error.message}`], nodes: [] });
  }
  try {
    await input.backup?.finish(isExported);
    return report;
  } catch (error) {
    if (!isFailureOutside(error)) throw error;
    const missed = [...report.missed, `the last line of the backup: ${error.message}`];
    return { ...report, complete: false, missed };
  }
}

interface Waiting {
  sub: string;
  node: string;
  entry: ScannedEntry;
  /** Whether its subject has not been counted yet. */
  isFirst: boolean;
}

/** Whether the subject has been counted. */
interface CountedState {
  isCounted: boolean;
}

class EntryExport {
  readonly #ports: Pick<Administration, 'registry' | 'clock'>;
  readonly #keys: KeysById;
  readonly #input: ExportInput;
  readonly #waiting: Waiting[] = [];
  readonly #byNode = new Map<string, { node: string; matched: number; removed: number }>();
  readonly #byKeyId = new Map<number, number>();
  /** What could not be removed, or not be counted. */
  readonly #missed = new Set<string>();
  /** Nodes that were waited for in vain, and are not asked again: it would take as long for each chunk. */
  readonly #silent = new Set<string>();
  #matched = 0;
  #removed = 0;
  #subjects = 0;
  #hasBegun = false;

  constructor(ports: Pick<Administration, 'registry' | 'clock'>, keys: KeysById, input: ExportInput) {
    this.#ports = ports;
    this.#keys = keys;
    this.#input = input;
  }

  async take(parts: ReadonlyArray<SubjectPart<CountedState>>): Promise<void> {
    for (const part of parts) this.#collect(part);
    while (this.#waiting.length >= MAX_CHUNK_ENTRIES && !this.#input.signal?.aborted) {
      await this.#settle(this.#waiting.splice(0, MAX_CHUNK_ENTRIES));
    }
  }

  /** Whether something was filed or removed. */
  get hasBegun(): boolean {
    return this.#hasBegun;
  }

  get hasWaiting(): boolean {
    return this.#waiting.length > 0;
  }

  /** What does not fill a chunk. */
  async settleRest(): Promise<void> {
    if (this.#waiting.length === 0 || this.#input.signal?.aborted) return;
    await this.#settle(this.#waiting.splice(0));
  }

  report({
    complete,
    missed,
    nodes,
  }: Omit<ScanOutcome, 'nodes'> & { nodes: readonly { node: string }[] }): ExportReport {
    for (const { node } of nodes) this.#countOf(node);
    // An interruption may come after the walk has shown the last of the registry.
    const isCutOff = complete && this.#waiting.length > 0;
    return {
      matched: this.#matched,
      removed: this.#removed,
      subjects: this.#subjects,
      byNode: [...this.#byNode.values()],
      byKeyId: [...this.#byKeyId].map(([keyId, entries]) => ({ keyId, entries })),
      complete: complete && !isCutOff && this.#missed.size === 0,
      missed: [...(isCutOff ? [LEFT_BY_INTERRUPTION] : missed), ...this.#missed],
    };
  }

  #collect({ part: { node, entries, ...part }, state }: SubjectPart<CountedState>): void {
    const sub = ownCopy(part.sub);
    for (const entry of entries) {
      if (!matches(entry, this.#input.filter)) continue;
      this.#waiting.push({ sub, node, entry: ownEntry(entry), isFirst: !state.isCounted });
      state.isCounted = true;
    }
  }

  async #settle(chunk: readonly Waiting[]): Promise<void> {
    const { backup, removes } = this.#input;
    if (backup !== null) {
      const keys = await this.#keys.ofAll(chunk.map(({ entry }) => entry.keyId));
      await backup.append(chunk.map(({ sub, entry }) => backupEntry(sub, entry, keys.get(entry.keyId))));
      this.#hasBegun = true;
    }
    this.#count(chunk);
    if (removes) await this.#remove(chunk);
  }

  async #remove(chunk: readonly Waiting[]): Promise<void> {
    const byNode = groupBy(chunk, ({ node }) => node);
    const works = [...byNode].map(([node, own]) => this.#removeFrom(node, own));
    for (const outcome of await Promise.allSettled(works)) {
      if (outcome.status === 'rejected') throw outcome.reason;
    }
  }

  /** A node that is away keeps its entries, and the others go on: nothing is lost, for what was to go has been filed. */
  async #removeFrom(node: string, chunk: readonly Waiting[]): Promise<void> {
    const { registry, clock } = this.#ports;
    if (this.#silent.has(node)) return;
    try {
      const { removed, byNode, isCounted, failure } = await registry.removeEntries(
        entriesBySubject(chunk),
        clock.now(),
      );
      this.#hasBegun = true;
      this.#removed += removed;
      for (const node of byNode) this.#countOf(node.node).removed += node.removed;
      if (!isCounted) this.#missed.add(UNCOUNTED);
      if (failure !== null) this.#missRemoval(node, failure);
    } catch (error) {
      if (!this.#hasBegun || !isFailureOutside(error)) throw error;
      this.#missRemoval(node, error);
    }
  }

  #missRemoval(node: string, error: JwtctlError): void {
    if (isSilence(error)) this.#silent.add(node);
    this.#missed.add(`entries of ${node} that were to go, of which ${MAYBE_REMOVED} (${error.message})`);
  }

  #count(chunk: readonly Waiting[]): void {
    this.#matched += chunk.length;
    for (const { node, entry, isFirst } of chunk) {
      if (isFirst) this.#subjects += 1;
      this.#countOf(node).matched += 1;
      this.#byKeyId.set(entry.keyId, (this.#byKeyId.get(entry.keyId) ?? 0) + 1);
    }
  }

  #countOf(node: string): { node: string; matched: number; removed: number } {
    const count = this.#byNode.get(node) ?? { node, matched: 0, removed: 0 };
    this.#byNode.set(node, count);
    return count;
  }
}

/** A few are found among very many. */
function ownEntry(entry: ScannedEntry): ScannedEntry {
  const label = entry.label === null ? null : ownCopy(entry.label);
  return { ...entry, jti: ownCopy(entry.jti), label };
}
