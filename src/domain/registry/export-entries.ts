import { matches } from '../model/registry-entry.js';
import { type BackupWriter, backupEntry, MAX_CHUNK_ENTRIES } from '../ports/backup-file.js';
import { UNCOUNTED } from '../ports/entry-store.js';
import type { Administration, EntryFilter, ScannedEntry, ScanOutcome, WalkControl } from '../ports/index.js';
import { LEFT_BY_INTERRUPTION } from '../ports/registry-scanner.js';
import { ownCopy } from '../shared/detached-string.js';
import type { JwtctlError } from '../shared/errors.js';
import { isFailureOutside, isSilence } from '../shared/unavailable.js';
import { entriesBySubject, groupBy } from './group-entries.js';
import type { KeysById } from './keys-by-id.js';
import { type SubjectPart, scanSubjects } from './scan-subjects.js';

export interface ExportInput extends WalkControl {
  sub?: string | undefined;
  filter: EntryFilter;
  /** Finished or abandoned with the run. Null only counts and removes. */
  backup: BackupWriter | null;
  removes: boolean;
}

export interface ExportReport {
  matched: number;
  removed: number;
  subjects: number;
  byNode: Array<{ node: string; matched: number; removed: number }>;
  byKeyId: Array<{ keyId: number; entries: number }>;
  complete: boolean;
  missed: string[];
}

/**
 * Writes the matching entries to the backup, and then removes exactly these, chunk by chunk. So every removed
 * entry is in the backup, even after an interruption. A node that is down keeps its entries.
 * @throws JwtctlError of the registry and the file, before the first change; later failures are in the report
 */
export async function exportEntries(
  ports: Pick<Administration, 'registry' | 'clock'>,
  keys: KeysById,
  input: ExportInput,
): Promise<ExportReport> {
  const entryExport = new EntryExport(ports, keys, input);
  let report: ExportReport;
  let isExported = false;
  try {
    const outcome = await scanSubjects(
      ports.registry,
      () => ({ isCounted: false }),
      (parts) => entryExport.add(parts),
      {
        now: ports.clock.now(),
        withDetails: input.backup !== null,
        sub: input.sub,
        signal: input.signal,
        onProgress: input.onProgress,
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
    report = entryExport.report({
      complete: false,
      missed: [`the rest of the registry (${error.message})`],
      nodes: [],
    });
  }
  try {
    await input.backup?.finish(isExported);
    return report;
  } catch (error) {
    if (!isFailureOutside(error)) throw error;
    const missed = [...report.missed, `the last line of the backup (${error.message})`];
    return { ...report, complete: false, missed };
  }
}

interface Waiting {
  sub: string;
  node: string;
  entry: ScannedEntry;
  isFirst: boolean;
}

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
  readonly #missed = new Set<string>();
  /** Nodes that timed out. Asking again for each chunk would take as long. */
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

  async add(parts: ReadonlyArray<SubjectPart<CountedState>>): Promise<void> {
    for (const part of parts) this.#collect(part);
    while (this.#waiting.length >= MAX_CHUNK_ENTRIES && !this.#input.signal?.aborted) {
      await this.#settle(this.#waiting.splice(0, MAX_CHUNK_ENTRIES));
    }
  }

  get hasBegun(): boolean {
    return this.#hasBegun;
  }

  get hasWaiting(): boolean {
    return this.#waiting.length > 0;
  }

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
    // The scan may have completed just before the interruption.
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
      for (const { node, removed } of byNode) this.#countOf(node).removed += removed;
      if (!isCounted) this.#missed.add(UNCOUNTED);
      if (failure !== null) this.#missRemoval(node, failure);
    } catch (error) {
      if (!this.#hasBegun || !isFailureOutside(error)) throw error;
      this.#missRemoval(node, error);
    }
  }

  #missRemoval(node: string, error: JwtctlError): void {
    if (isSilence(error)) this.#silent.add(node);
    this.#missed.add(`entries of ${node} (more may have been removed than was counted: ${error.message})`);
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

/** A filter may match few entries; without copies, each would keep its whole reply in memory. */
function ownEntry(entry: ScannedEntry): ScannedEntry {
  return { ...entry, jti: ownCopy(entry.jti) };
}
