import type { SurveyedSubject, SurveyOutcome, TokenRegistry } from './ports.js';
import type { KeyState, SigningKey } from './signing-key.js';

/** Upper bounds of the lifetimes that the histogram tells apart, in seconds; the last bar holds what is above them. */
const TTL_BOUNDS = [60, 300, 900, 3_600, 21_600, 86_400, 604_800] as const;

export interface InspectionInput {
  now: number;
  /** How many subjects with the most entries are named. */
  top: number;
  /** Only entries under this key. */
  key?: SigningKey;
  signal?: AbortSignal;
}

export interface Inspection {
  backend: TokenRegistry['backend'];
  prefix: string;
  complete: boolean;
  missed: string[];
  entries: number;
  subjects: number;
  /** Estimated from a sample of the subjects; null where there was none. */
  bytes: number | null;
  byKid: Array<{ kid: string; state: KeyState | null; entries: number }>;
  byNode: Array<{
    node: string;
    role: string;
    slots: number | null;
    entries: number;
    usedMemoryBytes: number | null;
  }>;
  /** How many entries have at most so long to live (and more than the bar before); `leSeconds` null: longer than that. */
  ttl: Array<{ leSeconds: number | null; entries: number }>;
  topSubjects: Array<{ sub: string; entries: number }>;
  anomalies: {
    noTtl: number | null;
    ttlMismatch: number | null;
    unknownKid: number;
    unknownUser: number | null;
    malformed: number;
  };
}

/** Reads the whole registry once and tells what is in it. */
export async function inspectRegistry(
  registry: TokenRegistry,
  keys: readonly SigningKey[],
  input: InspectionInput,
): Promise<Inspection> {
  const tally = new Tally(keys, input);
  const outcome = await registry.survey(
    (subjects) => {
      for (const subject of subjects) tally.add(subject);
    },
    { now: input.now, ...(input.signal === undefined ? {} : { signal: input.signal }) },
  );
  return tally.report(registry, outcome);
}

/** The same report of one subject, from that subject's own key. */
export async function inspectSubject(
  registry: TokenRegistry,
  keys: readonly SigningKey[],
  input: InspectionInput & { sub: string },
): Promise<Inspection> {
  const tally = new Tally(keys, input);
  const entries = await registry.list(input.sub, input.now);
  if (entries.length > 0) {
    const whole = { isFirst: true, isLast: true, malformed: 0, bytes: null, details: null };
    tally.add({ sub: input.sub, node: '', entries, ...whole });
  }
  return tally.report(registry, { complete: true, missed: [], nodes: [] });
}

class Tally {
  readonly #keys: Map<number, SigningKey>;
  readonly #input: InspectionInput;
  readonly #byKeyId = new Map<number, number>();
  readonly #byNode = new Map<string, number>();
  readonly #ttl = new Array<number>(TTL_BOUNDS.length + 1).fill(0);
  readonly #top: Array<{ sub: string; entries: number }> = [];
  /** Entries so far of the subjects of which more parts are to come. */
  readonly #unfinished = new Map<string, number>();
  #entries = 0;
  #subjects = 0;
  #malformed = 0;
  #unknownKid = 0;
  #sampled = { subjects: 0, bytes: 0 };

  constructor(keys: readonly SigningKey[], input: InspectionInput) {
    this.#keys = new Map(keys.map((key) => [key.id, key]));
    this.#input = input;
  }

  add(subject: SurveyedSubject): void {
    const { key, now } = this.#input;
    this.#malformed += subject.malformed;
    const entries = subject.entries.filter((entry) => key === undefined || entry.keyId === key.id);
    this.#count(subject, entries.length);
    this.#entries += entries.length;
    this.#byNode.set(subject.node, (this.#byNode.get(subject.node) ?? 0) + entries.length);
    if (subject.bytes !== null) {
      this.#sampled.subjects += 1;
      this.#sampled.bytes += subject.bytes;
    }
    for (const entry of entries) {
      this.#byKeyId.set(entry.keyId, (this.#byKeyId.get(entry.keyId) ?? 0) + 1);
      if (!this.#keys.has(entry.keyId)) this.#unknownKid += 1;
      const bar = TTL_BOUNDS.findIndex((bound) => entry.exp - now <= bound);
      const index = bar === -1 ? TTL_BOUNDS.length : bar;
      this.#ttl[index] = (this.#ttl[index] ?? 0) + 1;
    }
  }

  /** A subject is one, in however many parts it comes. */
  #count({ sub, isLast }: SurveyedSubject, entries: number): void {
    const soFar = (this.#unfinished.get(sub) ?? 0) + entries;
    if (!isLast) {
      this.#unfinished.set(sub, soFar);
      return;
    }
    this.#unfinished.delete(sub);
    if (soFar === 0) return;
    this.#subjects += 1;
    this.#rank({ sub, entries: soFar });
  }

  report(registry: TokenRegistry, outcome: SurveyOutcome): Inspection {
    const { subjects, bytes } = this.#sampled;
    return {
      backend: registry.backend,
      prefix: registry.prefix,
      complete: outcome.complete,
      missed: outcome.missed,
      entries: this.#entries,
      subjects: this.#subjects,
      bytes:
        subjects === 0 ? (this.#subjects === 0 ? 0 : null) : Math.round((bytes / subjects) * this.#subjects),
      byKid: [...this.#byKeyId].map(([keyId, entries]) => this.#kidRow(keyId, entries)).sort(byEntries),
      byNode: outcome.nodes.map((node) => ({ ...node, entries: this.#byNode.get(node.node) ?? 0 })),
      ttl: this.#ttl.map((entries, index) => ({ leSeconds: TTL_BOUNDS[index] ?? null, entries })),
      topSubjects: [...this.#top],
      anomalies: {
        noTtl: null,
        ttlMismatch: null,
        unknownKid: this.#unknownKid,
        unknownUser: null,
        malformed: this.#malformed,
      },
    };
  }

  /** An entry names its key by row id; a row that is gone has no kid to show any more. */
  #kidRow(keyId: number, entries: number): Inspection['byKid'][number] {
    const key = this.#keys.get(keyId);
    return { kid: key?.kid ?? `(row ${keyId})`, state: key?.state ?? null, entries };
  }

  /** Keeps the few largest in order; memory does not grow with the number of subjects. */
  #rank(subject: { sub: string; entries: number }): void {
    const top = this.#top;
    const last = top.at(-1);
    if (top.length === this.#input.top && (last === undefined || ranksBefore(last, subject))) return;
    const index = top.findIndex((other) => ranksBefore(subject, other));
    top.splice(index === -1 ? top.length : index, 0, subject);
    top.length = Math.min(top.length, this.#input.top);
  }
}

/** By name among equals, so that two looks at the same registry show the same. */
function ranksBefore(a: { sub: string; entries: number }, b: { sub: string; entries: number }): boolean {
  return a.entries === b.entries ? a.sub < b.sub : a.entries > b.entries;
}

function byEntries(a: { entries: number }, b: { entries: number }): number {
  return b.entries - a.entries;
}
