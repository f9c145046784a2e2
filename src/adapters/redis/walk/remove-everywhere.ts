import type { Redis } from 'ioredis';
import type { GlobalRemoval, Removal } from '../../../domain/ports/index.js';
import { type Answer, isUndelivered, type Request } from '../cluster/batcher.js';
import type { RedisNode } from '../cluster/redis-connection.js';
import type { Args } from '../cluster/script.js';
import { confirmAll } from '../cluster/wait-replicas.js';
import type { LocatedSubject } from '../keyspace.js';
import { MEMBERS_PER_CALL, REMOVE, REMOVE_PORTION, WRONG_TYPE } from '../scripts/index.js';
import type { RegistrySession } from '../session.js';
import { replyCode, UncountedError, UnexpectedReplyError } from '../wire/redis-errors.js';
import { integerIn, integersIn, outcomeIn } from '../wire/reply-shapes.js';
import { AdaptiveBatch } from './adaptive-batch.js';
import { walkSubjects } from './walk-subjects.js';
import type { WalkSteering } from './walk-types.js';

export async function removeEverywhere(
  session: RegistrySession,
  args: Args,
  steering: WalkSteering,
): Promise<GlobalRemoval> {
  const remover = new Remover(session, args);
  const batch = new AdaptiveBatch({ target: MEMBERS_AT_ONCE, first: 20, most: SUBJECTS_AT_ONCE });

  const take = async (node: RedisNode, subjects: readonly LocatedSubject[]): Promise<void> => {
    let isUncounted = false;
    for (let from = 0; from < subjects.length; ) {
      steering.signal?.throwIfAborted();
      const portion = subjects.slice(from, from + batch.size);
      from += portion.length;
      const found = await remover.removeFrom(portion, node.name);
      const { seen, large } = found;
      batch.learn(portion.length, seen + MEMBERS_PER_CALL * large.length);
      isUncounted ||= found.isUncounted;
      for (const subject of large) {
        const isLost = await remover.removeFromLarge(subject, node.name, steering.signal);
        isUncounted ||= isLost;
      }
    }
    if (isUncounted) throw new UncountedError();
  };

  const { missed, masters } = await walkSubjects(session, take, steering);
  const { matched, subjects, largestIat, byKeyId, byNode, touched } = remover;
  for (const { node } of masters) byNode.set(node.name, byNode.get(node.name) ?? 0);
  return {
    matched,
    removed: matched,
    subjects,
    largestIat: largestIat < 0 ? null : largestIat,
    byNode: [...byNode].map(([node, count]) => ({ node, matched: count, removed: count })),
    byKeyId: [...byKeyId].map(([keyId, count]) => ({ keyId, matched: count })),
    replicasConfirmed: await confirmAll(touched, session.connection.timeoutMs),
    complete: missed.length === 0,
    missed,
  };
}

export async function removeFromSubject(session: RegistrySession, sub: string, args: Args): Promise<Removal> {
  const remover = new Remover(session, args, { confirming: true });
  // Only the count may be wrong: everything has been removed.
  const { large } = await remover.removeFrom([{ sub, ...session.keyspace.keysOf(sub) }]);
  for (const subject of large) await remover.removeFromLarge(subject);
  const replicasConfirmed = await confirmAll(remover.touched, session.connection.timeoutMs);
  return { removed: remover.matched, families: remover.families, replicasConfirmed };
}

/** Takes the server a tenth of a millisecond, so that other clients hardly wait. */
const MEMBERS_AT_ONCE = 50;
const SUBJECTS_AT_ONCE = 500;
const SUBJECTS_PER_SCRIPT = 5;

class Remover {
  readonly touched = new Set<Redis | null>();
  readonly byNode = new Map<string, number>();
  readonly byKeyId = new Map<number, number>();
  matched = 0;
  families = 0;
  subjects = 0;
  largestIat = -1;
  readonly #session: RegistrySession;
  readonly #args: Args;
  readonly #options: Pick<Request, 'confirming'>;

  constructor(session: RegistrySession, args: Args, options: Pick<Request, 'confirming'> = {}) {
    this.#session = session;
    this.#args = args;
    this.#options = options;
  }

  async removeFrom(subjects: readonly LocatedSubject[], walked = ''): Promise<Found> {
    return allDone(this.#groups(subjects).map((group) => this.#removeFromGroup(group, walked)));
  }

  /** Returns whether more may have been removed than was counted. */
  async removeFromLarge(
    { entries, meta, slot }: LocatedSubject,
    walked = '',
    signal?: AbortSignal,
  ): Promise<boolean> {
    const request = { slot, keys: [entries, meta], script: REMOVE_PORTION, ...this.#options };
    let before = 0;
    let isUncounted = false;
    let cursor = '';
    do {
      signal?.throwIfAborted();
      const args = [...this.#args, cursor, before > 0 || isUncounted ? 1 : 0];
      const answer = await this.#session.batcher.send({ ...request, args });
      const [state, ...values] = this.#session.connection.unwrap(answer.replies[0], outcomeIn);
      if (state === WRONG_TYPE) return isUncounted;
      const next = values.pop();
      if (typeof next !== 'string') throw this.#session.connection.translate(new UnexpectedReplyError());
      cursor = next;
      const [matched = 0, ...counts] = values.map(Number);
      this.#add(answer, slot, walked, { matched, subjects: before === 0 && matched > 0 ? 1 : 0, counts });
      before += matched;
      isUncounted ||= answer.isRepeated;
    } while (cursor !== '');
    return isUncounted;
  }

  #groups(subjects: readonly LocatedSubject[]): Group[] {
    const { connection } = this.#session;
    const open = new Map<number, Group>();
    const groups: Group[] = [];
    for (const subject of subjects) {
      const { entries, meta, refresh, slot } = subject;
      // A single server has no slots.
      const groupKey = connection.mode === 'cluster' ? slot : 0;
      let group = open.get(groupKey);
      if (group === undefined || group.subjects.length === SUBJECTS_PER_SCRIPT) {
        group = { slot, subjects: [], keys: [] };
        open.set(groupKey, group);
        groups.push(group);
      }
      group.subjects.push(subject);
      group.keys.push(entries, meta, refresh);
    }
    return groups;
  }

  async #removeFromGroup(group: Group, walked: string): Promise<Found> {
    const request = { slot: group.slot, script: REMOVE, args: this.#args, ...this.#options };
    const answer = await this.#session.batcher.send({ ...request, keys: group.keys, once: true });
    const [reply] = answer.replies;
    if (!(reply instanceof Error)) {
      return { ...this.#addGroup(answer, group, walked), isUncounted: answer.isRepeated };
    }
    const isLost = replyCode(reply) === null;
    if (!isLost && !isUndelivered(reply)) throw this.#session.connection.translate(reply);

    // Keys of a moving slot may be on two masters: send each alone. A lost script may already have run.
    return allDone(
      group.subjects.map(async (subject) => {
        const keys = await this.#existingKeys(subject);
        const own = await this.#session.batcher.send({ ...request, keys });
        const found = this.#addGroup(own, { slot: group.slot, subjects: [subject], keys }, walked);
        return { ...found, isUncounted: isLost || own.isRepeated };
      }),
    );
  }

  /**
   * Until a slot has moved, Redis refuses a script that names a missing key beside an existing one (TRYAGAIN). So an
   * existing key takes the place of each missing one: its type is another, so the script ignores it there.
   */
  async #existingKeys({ entries, meta, refresh, slot }: LocatedSubject): Promise<string[]> {
    const { batcher, connection } = this.#session;
    const keys = [entries, meta, refresh];
    const exist = await Promise.all(
      keys.map(async (key) => {
        const { replies } = await batcher.send({ slot, commands: [['exists', key]] });
        return connection.unwrap(replies[0], integerIn) === 1;
      }),
    );
    const standIn = keys.find((_, index) => exist[index]) ?? entries;
    return keys.map((key, index) => (exist[index] ? key : standIn));
  }

  #addGroup(answer: Answer, group: Group, walked: string): Omit<Found, 'isUncounted'> {
    const [seen = 0, ...rest] = this.#session.connection.unwrap(answer.replies[0], integersIn);
    const large = rest.splice(0, rest.shift()).flatMap((index) => group.subjects[index] ?? []);
    const [families = 0, matched = 0, subjects = 0, ...counts] = rest;
    this.families += families;
    if (families > 0) this.touched.add(answer.client);
    this.#add(answer, group.slot, walked, { matched, subjects, counts });
    return { seen, large };
  }

  #add(
    answer: Answer,
    slot: number,
    walked: string,
    found: { matched: number; subjects: number; counts: readonly number[] },
  ): void {
    const { matched, subjects, counts } = found;
    if (matched === 0) return;
    const name = answer.node?.name ?? this.#session.connection.ownerName(slot) ?? walked;
    this.matched += matched;
    this.subjects += subjects;
    this.byNode.set(name, (this.byNode.get(name) ?? 0) + matched);
    this.largestIat = Math.max(this.largestIat, counts[0] ?? -1);
    for (let index = 1; index + 1 < counts.length; index += 2) {
      const keyId = counts[index] ?? 0;
      this.byKeyId.set(keyId, (this.byKeyId.get(keyId) ?? 0) + (counts[index + 1] ?? 0));
    }
    this.touched.add(answer.client);
  }
}

interface Found {
  seen: number;
  large: LocatedSubject[];
  /** Whether more may have been removed than was counted. */
  isUncounted: boolean;
}

async function allDone(works: ReadonlyArray<Promise<Found>>): Promise<Found> {
  const all: Found = { seen: 0, large: [], isUncounted: false };
  for (const outcome of await Promise.allSettled(works)) {
    if (outcome.status === 'rejected') throw outcome.reason;
    all.seen += outcome.value.seen;
    all.large.push(...outcome.value.large);
    all.isUncounted ||= outcome.value.isUncounted;
  }
  return all;
}

interface Group {
  slot: number;
  subjects: LocatedSubject[];
  keys: string[];
}
