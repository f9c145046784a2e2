import { InspectionTally } from './inspection-tally.js';
import type { KeyCount } from './key-names.js';
import type {
  KnownUserStatus,
  SubjectDetails,
  SurveyedSubject,
  SurveyOutcome,
  TokenRegistry,
  UserDirectory,
  UserStatus,
  WalkProgress,
} from '../ports/index.js';
import type { SigningKey } from '../model/signing-key.js';

export interface InspectionInput {
  now: number;
  /** How many subjects with the most entries are named. */
  top: number;
  /** Only entries under this key, and what is kept of subjects that have some. */
  key?: SigningKey;
  /** Entries that were issued before then are counted apart: what a later look has to be compared with. */
  since?: number;
  clockToleranceSeconds: number;
  signal?: AbortSignal;
  onProgress?: (progress: InspectionProgress) => void;
}

export interface InspectionProgress extends WalkProgress {
  /** So far. */
  entries: number;
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
  byKid: KeyCount[];
  byNode: Array<{
    node: string;
    /** `gone`: a server that was a master when its entries were read, and is none any more. */
    role: SurveyOutcome['nodes'][number]['role'] | 'gone';
    slots: number | null;
    entries: number;
    usedMemoryBytes: number | null;
  }>;
  /** How many entries have at most so long to live (and more than the bar before); `leSeconds` null: longer than that. */
  ttl: Array<{ leSeconds: number | null; entries: number }>;
  topSubjects: Array<{ sub: string; entries: number }>;
  anomalies: Anomalies;
  /** Entries issued before this look, and before {@link InspectionInput.since}; null where that is not given. */
  issuedBefore: { now: number; since: number | null };
}

/** Null: not looked at. */
export interface Anomalies {
  /** Subjects of which something is kept that never expires. */
  noTtl: number | null;
  /** Subjects of which something is kept that does not expire at the last `exp` plus the clock tolerance. */
  ttlMismatch: number | null;
  /** Entries under a key that the key store does not have. */
  unknownKid: number;
  /** Subjects with entries that are no users. */
  unknownUser: number | null;
  /** What stands among the entries and is none. */
  malformed: number;
}

export interface SubjectInspection extends Inspection {
  subject: SubjectFacts;
}

export interface SubjectFacts {
  sub: string;
  /** The master that holds the subject, or would; the file's name for SQLite. */
  node: string;
  /** When what is kept of the subject expires; null where it never does, or nothing is kept. */
  expiresAt: number | null;
  /** Entries that have expired and are still there. */
  expired: number;
  /** As the user directory has it now. */
  userStatus: UserStatus | 'unknown';
  /** As it is noted beside the entries, whether its time is over or not. */
  notedUser: KnownUserStatus | null;
}

/**
 * Reads the whole registry once and tells what is in it. What takes a look-up for each subject is told where `deep` gives
 * the users: their expiry, and whether they are users.
 */
export async function inspectRegistry(
  registry: TokenRegistry,
  keys: readonly SigningKey[],
  input: InspectionInput & { deep?: { users: Pick<UserDirectory, 'findMany'> } },
): Promise<Inspection> {
  const { now, signal, deep, onProgress } = input;
  const tally = new InspectionTally(keys, input);
  const strangers = deep === undefined ? null : new StrangerCount(deep.users);
  const take = (subjects: readonly SurveyedSubject[]) => {
    const alive: string[] = [];
    for (const subject of subjects) if (tally.add(subject)) alive.push(subject.sub);
    return strangers?.add(alive);
  };
  const outcome = await registry.survey(take, {
    now,
    withDetails: deep !== undefined,
    onProgress: (progress) => onProgress?.({ ...progress, entries: tally.entries }),
    ...(signal === undefined ? {} : { signal }),
  });
  return tally.report(registry, outcome, (await strangers?.count()) ?? null);
}

/** The same report of one subject, from that subject's own key, with all that can be told of it. */
export async function inspectSubject(
  ports: { registry: TokenRegistry; users: UserDirectory },
  keys: readonly SigningKey[],
  input: InspectionInput & { sub: string },
): Promise<SubjectInspection> {
  const { sub, now } = input;
  const tally = new InspectionTally(keys, input);
  const details: SubjectDetails[] = [];
  const take = (parts: readonly SurveyedSubject[]) => {
    for (const part of parts) {
      tally.add(part);
      if (part.details !== null) details.push(part.details);
    }
  };
  const [outcome, user] = await Promise.all([
    ports.registry.survey(take, { now, sub, withDetails: true }),
    ports.users.find(sub),
  ]);
  const report = tally.report(ports.registry, outcome, user === null && tally.entries > 0 ? 1 : 0);
  const { expiresAt = null, expired = 0, user: notedUser = null } = details[0] ?? {};
  const userStatus = user?.status ?? 'unknown';
  const node = outcome.nodes[0]?.node ?? '';
  return { ...report, subject: { sub, node, expiresAt, expired, userStatus, notedUser } };
}

/**
 * Counts who is no user, some hundreds at a time: never one query a subject, and no more in memory than two queries take.
 * While one is under way the walk goes on.
 */
class StrangerCount {
  readonly #users: Pick<UserDirectory, 'findMany'>;
  #waiting: string[] = [];
  #asking = Promise.resolve(0);

  constructor(users: Pick<UserDirectory, 'findMany'>) {
    this.#users = users;
  }

  async add(subs: readonly string[]): Promise<void> {
    this.#waiting.push(...subs);
    if (this.#waiting.length >= SUBJECTS_PER_QUERY) this.#ask(await this.#asking);
  }

  async count(): Promise<number> {
    if (this.#waiting.length > 0) this.#ask(await this.#asking);
    return this.#asking;
  }

  #ask(strangers: number): void {
    const subs = this.#waiting;
    this.#waiting = [];
    this.#asking = this.#users
      .findMany(subs)
      .then((found) => strangers + subs.filter((sub) => !found.has(sub)).length);
    // Whoever waits for it next is told.
    this.#asking.catch(() => {});
  }
}

const SUBJECTS_PER_QUERY = 500;
