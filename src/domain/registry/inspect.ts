import type { SigningKey } from '../model/signing-key.js';
import type { RegistryScanner, SubjectDetails, UserDirectory } from '../ports/index.js';
import type { Inspection, InspectionInput, SubjectInspection } from './inspection.js';
import { beginSubject, InspectionTally } from './inspection-tally.js';
import { type SubjectPart, scanSubjects } from './scan-subjects.js';

type InspectedParts = ReadonlyArray<SubjectPart<ReturnType<typeof beginSubject>>>;

/**
 * Reads the whole registry once and tells what is in it. What takes a look-up for each subject is told where `deep` gives
 * the users: their expiry, and whether they are users.
 */
export async function inspectRegistry(
  registry: RegistryScanner,
  keys: readonly SigningKey[],
  input: InspectionInput & { deep?: { users: Pick<UserDirectory, 'findMany'> } },
): Promise<Inspection> {
  const { now, signal, deep, onProgress } = input;
  const tally = new InspectionTally(keys, input);
  const unknownUsers = deep === undefined ? null : new UnknownUserCount(deep.users);
  const onParts = (parts: InspectedParts) => {
    const alive: string[] = [];
    for (const subject of parts) if (tally.add(subject)) alive.push(subject.part.sub);
    return unknownUsers?.add(alive);
  };
  const outcome = await scanSubjects(registry, beginSubject, onParts, {
    now,
    withDetails: deep !== undefined,
    onProgress: (progress) => onProgress?.({ ...progress, entries: tally.entries }),
    ...(signal === undefined ? {} : { signal }),
  });
  return tally.report(registry, outcome, (await unknownUsers?.count()) ?? null);
}

/** The same report of one subject, from that subject's own key, with all that can be told of it. */
export async function inspectSubject(
  ports: { registry: RegistryScanner; users: UserDirectory },
  keys: readonly SigningKey[],
  input: InspectionInput & { sub: string },
): Promise<SubjectInspection> {
  const { sub, now } = input;
  const tally = new InspectionTally(keys, input);
  const details: SubjectDetails[] = [];
  const onParts = (parts: InspectedParts) => {
    for (const subject of parts) {
      tally.add(subject);
      if (subject.part.details !== null) details.push(subject.part.details);
    }
  };
  const [outcome, user] = await Promise.all([
    scanSubjects(ports.registry, beginSubject, onParts, { now, sub, withDetails: true }),
    ports.users.find(sub),
  ]);
  const report = tally.report(ports.registry, outcome, user === null && tally.entries > 0 ? 1 : 0);
  const { expiresAt = null, expired = 0, user: cachedUser = null } = details[0] ?? {};
  const userStatus = user?.status ?? 'unknown';
  const node = outcome.nodes[0]?.node ?? '';
  return { ...report, subject: { sub, node, expiresAt, expired, userStatus, cachedUser } };
}

/**
 * Counts who is no user, some hundreds at a time: never one query a subject, and no more in memory than two queries take.
 * While one is under way the walk goes on.
 */
class UnknownUserCount {
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

  #ask(unknownUsers: number): void {
    const subs = this.#waiting;
    this.#waiting = [];
    this.#asking = this.#users
      .findMany(subs)
      .then((found) => unknownUsers + subs.filter((sub) => !found.has(sub)).length);
    // Whoever waits for it next is told.
    this.#asking.catch(() => {});
  }
}

const SUBJECTS_PER_QUERY = 500;
