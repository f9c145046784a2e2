import type { SigningKey } from '../model/signing-key.js';
import type { RegistryScanner, SubjectDetails, UserDirectory } from '../ports/index.js';
import { type SubjectPart, scanSubjects } from '../registry/scan-subjects.js';
import { beginSubject, InspectionTally } from './tally.js';
import type { Inspection, InspectionInput, SubjectInspection } from './types.js';

type InspectedParts = ReadonlyArray<SubjectPart<ReturnType<typeof beginSubject>>>;

/** Summarizes the whole registry with one scan. `deep` adds the checks that look up each subject. */
export async function inspectRegistry(
  registry: RegistryScanner,
  keys: readonly SigningKey[],
  input: InspectionInput & { deep?: { users: Pick<UserDirectory, 'findMany'> } },
): Promise<Inspection> {
  const { now, signal, deep, onProgress } = input;
  const tally = new InspectionTally(keys, input);
  const unknownUsers = deep === undefined ? null : new UnknownUserCount(deep.users);
  const onParts = (parts: InspectedParts) => {
    const subs = parts.filter((subject) => tally.add(subject)).map(({ part }) => part.sub);
    return unknownUsers?.add(subs);
  };
  const outcome = await scanSubjects(registry, beginSubject, onParts, {
    now,
    withDetails: deep !== undefined,
    onProgress: (progress) => onProgress?.({ ...progress, entries: tally.entries }),
    signal,
  });
  return tally.report(registry, outcome, (await unknownUsers?.count()) ?? null);
}

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

/** Counts subjects without a user in large batches. The scan continues during a query. */
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
    // The next await reports the failure.
    this.#asking.catch(() => {});
  }
}

const SUBJECTS_PER_QUERY = 500;
