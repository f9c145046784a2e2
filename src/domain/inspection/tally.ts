import type { SigningKey } from '../model/signing-key.js';
import type { RegistryScanner, ScannedSubject, ScanOutcome } from '../ports/index.js';
import { type KeyCount, keyCount } from '../registry/keys-by-id.js';
import type { SubjectPart } from '../registry/scan-subjects.js';
import { ownCopy } from '../shared/detached-string.js';
import { LifetimeHistogram } from './lifetime-histogram.js';
import type { Inspection, InspectionInput } from './types.js';

interface Seen {
  /** Entries that match the filter. */
  counted: number;
  live: number;
  lastExp: number;
  /** The last `exp` of the entries issued before this scan. */
  lastSettledExp: number;
  malformed: number;
  bytes: number | null;
  details: ScannedSubject['details'];
}

interface EntriesOfKey {
  keyId: number;
  entries: number;
}

export function beginSubject({ bytes, details }: ScannedSubject): Seen {
  return { counted: 0, live: 0, lastExp: 0, lastSettledExp: 0, malformed: 0, bytes, details };
}

export class InspectionTally {
  readonly #keys: Map<number, SigningKey>;
  readonly #input: InspectionInput;
  readonly #byKeyId = new Map<number, EntriesOfKey>();
  /** Cached, because most entries have the same key as the previous one. */
  #lastKey: EntriesOfKey = { keyId: -1, entries: 0 };
  readonly #byNode = new Map<string, number>();
  readonly #lifetimes = new LifetimeHistogram();
  readonly #top: Inspection['topSubjects'] = [];
  readonly #memory = new MemoryEstimate();
  #entries = 0;
  #subjects = 0;
  #beforeNow = 0;
  #beforeSince = 0;
  #malformed = 0;
  #noTtl = 0;
  #ttlMismatch = 0;

  constructor(keys: readonly SigningKey[], input: InspectionInput) {
    this.#keys = new Map(keys.map((key) => [key.id, key]));
    this.#input = input;
  }

  get entries(): number {
    return this.#entries;
  }

  /** Returns whether this completes a subject with matching entries. */
  add({ part, state }: SubjectPart<Seen>): boolean {
    this.#addEntries(part, state);
    return part.isLast && this.#finish(part.sub, state);
  }

  /** @param unknownUser null if details were not read */
  report(registry: RegistryScanner, outcome: ScanOutcome, unknownUser: number | null): Inspection {
    const byKid = [...this.#byKeyId.values()].map(({ keyId, entries }) =>
      keyCount(this.#keys.get(keyId), keyId, entries),
    );
    return {
      backend: registry.backend,
      prefix: registry.prefix,
      complete: outcome.complete,
      missed: outcome.missed,
      entries: this.#entries,
      subjects: this.#subjects,
      bytes: this.#memory.total(),
      byKid: byKid.sort((a, b) => b.entries - a.entries || compareKeys(a, b)),
      byNode: this.#nodeRows(outcome.nodes),
      ...this.#lifetimes.report(),
      topSubjects: [...this.#top],
      anomalies: {
        noTtl: unknownUser === null ? null : this.#noTtl,
        ttlMismatch: unknownUser === null ? null : this.#ttlMismatch,
        unknownKid: byKid.reduce((sum, { state, entries }) => sum + (state === null ? entries : 0), 0),
        unknownUser,
        malformed: this.#malformed,
      },
      issuedBefore: {
        now: this.#beforeNow,
        since: this.#input.since === undefined ? null : this.#beforeSince,
      },
    };
  }

  // Runs for millions of entries, so it uses plain loops over local variables.
  #addEntries({ node, entries, malformed }: ScannedSubject, seen: Seen): void {
    const { key, now, since = 0 } = this.#input;
    const lifetimes = this.#lifetimes;
    let ofKey = this.#lastKey;
    let { lastExp, lastSettledExp } = seen;
    let [counted, beforeNow, beforeSince] = [0, 0, 0];
    for (const { keyId, iat, exp } of entries) {
      if (exp > lastExp) lastExp = exp;
      if (exp > lastSettledExp && iat < now) lastSettledExp = exp;
      if (key !== undefined && keyId !== key.id) continue;
      counted += 1;
      if (iat < now) beforeNow += 1;
      if (iat < since) beforeSince += 1;
      if (ofKey.keyId !== keyId) ofKey = this.#ofKey(keyId);
      ofKey.entries += 1;
      lifetimes.add(exp - now);
    }
    this.#lastKey = ofKey;
    seen.lastExp = lastExp;
    seen.lastSettledExp = lastSettledExp;
    seen.malformed += malformed;
    seen.live += entries.length;
    seen.counted += counted;
    this.#beforeNow += beforeNow;
    this.#beforeSince += beforeSince;
    this.#entries += counted;
    if (counted > 0) this.#byNode.set(node, (this.#byNode.get(node) ?? 0) + counted);
  }

  #ofKey(keyId: number): EntriesOfKey {
    let ofKey = this.#byKeyId.get(keyId);
    if (ofKey === undefined) {
      ofKey = { keyId, entries: 0 };
      this.#byKeyId.set(keyId, ofKey);
    }
    return ofKey;
  }

  #finish(sub: string, seen: Seen): boolean {
    const { counted, malformed, details } = seen;
    if (counted === 0 && this.#input.key !== undefined) return false;
    this.#malformed += malformed;
    if (details !== null) {
      if (details.expiresAt === null) this.#noTtl += 1;
      else if (!this.#expiresInTime(details.expiresAt, seen)) this.#ttlMismatch += 1;
    }
    if (counted === 0) return false;
    this.#subjects += 1;
    this.#memory.add(seen);
    this.#rank(sub, counted);
    return true;
  }

  /** Allows for entries that were issued after the subject's expiry was read. */
  #expiresInTime(expiresAt: number, { lastExp, lastSettledExp }: Seen): boolean {
    const { now, clockToleranceSeconds } = this.#input;
    if (lastExp === 0) return expiresAt <= now;
    const exp = expiresAt - clockToleranceSeconds;
    return lastSettledExp <= exp && exp <= lastExp;
  }

  /** Includes nodes that stopped being masters during the scan. */
  #nodeRows(nodes: ScanOutcome['nodes']): Inspection['byNode'] {
    const names = new Set(nodes.map(({ node }) => node));
    const gone = [...this.#byNode].filter(([node]) => !names.has(node));
    return [
      ...nodes.map((node) => ({ ...node, entries: this.#byNode.get(node.node) ?? 0 })),
      ...gone.map(([node, entries]) => ({
        ...{ node, role: 'gone' as const, slots: null, entries, usedMemoryBytes: null },
      })),
    ];
  }

  #rank(sub: string, entries: number): void {
    const top = this.#top;
    const last = top.at(-1);
    const isFull = top.length === this.#input.top;
    if (isFull && (last === undefined || ranksBefore(last, { sub, entries }))) return;
    const subject = { sub: ownCopy(sub), entries };
    const index = top.findIndex((other) => ranksBefore(subject, other));
    top.splice(index === -1 ? top.length : index, 0, subject);
    top.length = Math.min(top.length, this.#input.top);
  }
}

// Extrapolates from the sampled subjects by size (in powers of two), because bytes per entry depend on the
// set's size.
class MemoryEstimate {
  readonly #sizes: SizeClass[] = Array.from({ length: 33 }, () => ({
    ...{ counted: 0, measuredBytes: 0, measuredEntries: 0 },
  }));

  add({ counted, live, bytes }: Seen): void {
    const size = this.#sizes[32 - Math.clz32(live)];
    if (size === undefined) return;
    size.counted += counted;
    if (bytes === null) return;
    size.measuredBytes += bytes;
    size.measuredEntries += live;
  }

  total(): number | null {
    const sum = (field: keyof SizeClass) => this.#sizes.reduce((total, size) => total + size[field], 0);
    const measured = sum('measuredEntries');
    if (measured === 0) return sum('counted') === 0 ? 0 : null;
    const average = sum('measuredBytes') / measured;
    const total = this.#sizes.reduce(
      (bytes, { counted, measuredBytes, measuredEntries }) =>
        bytes + counted * (measuredEntries === 0 ? average : measuredBytes / measuredEntries),
      0,
    );
    return Math.round(total);
  }
}

interface SizeClass {
  counted: number;
  measuredBytes: number;
  measuredEntries: number;
}

/** Sorts keys without a row last. */
function compareKeys(a: KeyCount, b: KeyCount): number {
  if (a.kid === null || b.kid === null)
    return Number(a.kid === null) - Number(b.kid === null) || a.keyId - b.keyId;
  return a.kid < b.kid ? -1 : 1;
}

/** Breaks ties by name, so that repeated scans give the same order. */
function ranksBefore(a: { sub: string; entries: number }, b: { sub: string; entries: number }): boolean {
  return a.entries === b.entries ? a.sub < b.sub : a.entries > b.entries;
}
