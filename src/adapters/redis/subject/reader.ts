import type { ScannedEntry, ScannedSubject, SubjectDetails } from '../../../domain/ports/index.js';
import type { RedisNode } from '../cluster/redis-connection.js';
import {
  cachedStatus,
  type LocatedSubject,
  STATUS_MEMBER,
  type SubjectKeys,
  VERSION_MEMBER,
} from '../keyspace.js';
import { PAGE } from '../scripts/index.js';
import type { RegistrySession } from '../session.js';
import {
  BulkStrings,
  NO_BULK_STRINGS,
  numberOrNullAt,
  sizeOf,
  stringAt,
  stringOrNullAt,
  utf8At,
} from '../wire/bulk-strings.js';
import { bulkStringsIn, type RespReply } from '../wire/codec.js';
import type { Command } from '../wire/pipeline.js';
import { replyCode, UnexpectedReplyError, wrongType } from '../wire/redis-errors.js';
import { type Reads, readMany, readOne } from './bulk-read.js';
import { isPartial, type Members, membersIn, metaIn } from './members.js';

export interface ReadOptions {
  horizon: number;
  /** Whether to read meta, expiry, and status, and to include subjects without live entries. */
  withDetails: boolean;
  /** Whether the subject was asked for by name. Then a key of another type is an error, not skipped. */
  isNamed: boolean;
}

export interface LargeSubject {
  located: LocatedSubject;
  node: RedisNode | null;
  bytes: number | null;
}

export class SubjectReader {
  readonly #session: RegistrySession;
  readonly #options: ReadOptions;

  constructor(session: RegistrySession, options: ReadOptions) {
    this.#session = session;
    this.#options = options;
  }

  /** @param isSampled whether to measure the memory of the next subject, which costs as much as reading it */
  async read(
    node: RedisNode | null,
    subjects: readonly LocatedSubject[],
    isSampled: (() => boolean) | null,
  ): Promise<{ shown: ScannedSubject[]; large: LargeSubject[]; size: number }> {
    const { withDetails, horizon } = this.#options;
    const reads = planReads(subjects, withDetails, isSampled);
    const { replies, nodeOf } = await readMany(this.#session, node, reads);
    const bytesOf = memoryIn(replies, reads.sampled);
    if (isSampled !== null) await this.#measureLarge(node, subjects, reads.each, replies, bytesOf);
    const shown: ScannedSubject[] = [];
    const large: LargeSubject[] = [];
    let size = 0;
    const whole: WholeSubject[] = [];
    for (let index = 0; index < subjects.length; index++) {
      const located = subjects[index] as LocatedSubject;
      const first = index * reads.each;
      const set = this.#scanned(located.entries, replies[first]);
      const hash = withDetails ? this.#scanned(located.meta, replies[first + 1]) : NO_BULK_STRINGS;
      size += sizeOf(set) + sizeOf(hash);
      if (isPartial(set)) large.push({ located, node, bytes: bytesOf.get(index) ?? null });
      else whole.push({ index, located, set, hash, members: membersIn(set, horizon, metaIn(hash)) });
    }
    if (!withDetails) await this.#addFacts(node, whole);
    for (const { index, located, hash, members } of whole) {
      const first = index * reads.each;
      const bytes = bytesOf.get(index) ?? null;
      const { entries, malformed, expired, valid, user } = members;
      if (valid === 0 || (!withDetails && entries.length + malformed === 0)) continue;
      if (isPartial(hash)) {
        large.push({ located, node, bytes });
        continue;
      }
      if (withDetails && replies[first + 2] === GONE) continue;
      const details = withDetails ? { expiresAt: this.#expiryIn(replies[first + 2]), expired, user } : null;
      shown.push({ sub: located.sub, node: nodeOf(first), isLast: true, entries, malformed, bytes, details });
    }
    return { shown, large, size };
  }

  /** Ordered by `exp`, so an entry that stays is in exactly one part and expired entries come first. */
  async *parts({ located: keys, node, bytes }: LargeSubject): AsyncGenerator<ScannedSubject> {
    const { withDetails, horizon } = this.#options;
    const skipped = { valid: 0, malformed: 0, expired: 0 };
    let isFirst = true;
    let cursor = '';
    do {
      const answer = await readOne(this.#session, node, {
        slot: keys.slot,
        script: PAGE,
        keys: [keys.entries],
        args: [cursor],
      });
      const page = this.#bulkStringsOf(keys.entries, answer.replies[0]);
      cursor = page.count === 0 ? '' : stringAt(page, 0);
      const meta = withDetails ? await this.#metaOf(node, keys, page) : null;
      const part = { located: keys, set: page, members: membersIn(page, horizon, meta) };
      if (!withDetails) await this.#addFacts(node, [part]);
      const { entries, malformed, expired, valid } = part.members;
      skipped.valid += valid;
      skipped.malformed += malformed;
      skipped.expired += expired;
      const isLast = cursor === '';
      if (entries.length === 0 && !isLast) continue;
      const isKept = skipped.valid > 0 && (withDetails || entries.length + skipped.malformed > 0);
      if (isFirst && !isKept) return;
      const details = isFirst && withDetails ? await this.#detailsOf(node, keys, skipped.expired) : null;
      if (details === GONE) return;
      const shown = { isLast, entries, malformed: skipped.malformed, details };
      yield { sub: keys.sub, node: answer.node, ...shown, bytes: isFirst ? bytes : null };
      isFirst = false;
      skipped.malformed = 0;
    } while (cursor !== '');
  }

  /** Yields the entries of one subject. */
  async *pages(located: LocatedSubject): AsyncGenerator<ScannedEntry[]> {
    const { shown, large } = await this.read(null, [located], null);
    for (const { entries } of shown) yield entries;
    for (const subject of large) {
      for await (const { entries } of this.parts(subject)) yield entries;
    }
  }

  /** Reads the key and the `iat` of legacy tokens, which only the meta hash has. */
  async #addFacts(
    node: RedisNode | null,
    parts: ReadonlyArray<Pick<WholeSubject, 'located' | 'set'> & { members: Members }>,
  ): Promise<void> {
    const lacking = parts.filter(({ members }) => members.withoutFacts.length > 0);
    if (lacking.length === 0) return;
    const { replies } = await readMany(this.#session, node, {
      commands: lacking.map(
        ({ located, members }): Command => ['hmget', located.meta, ...members.withoutFacts],
      ),
      slots: lacking.map(({ located }) => located.slot),
    });
    for (const [position, part] of lacking.entries()) {
      const values = this.#bulkStringsOf(part.located.meta, replies[position]);
      const legacy = new Map<string, string>();
      for (const [index, id] of part.members.withoutFacts.entries())
        if (stringOrNullAt(values, index) !== null) legacy.set(id, stringAt(values, index));
      part.members = membersIn(part.set, this.#options.horizon, legacy);
    }
  }

  async #metaOf(
    node: RedisNode | null,
    keys: SubjectKeys,
    page: BulkStrings,
  ): Promise<Map<string, string> | null> {
    const members: Array<{ raw: string; text: string }> = [];
    for (let index = 1; index < page.count; index += 2) {
      members.push({ raw: stringAt(page, index), text: utf8At(page, index) });
    }
    if (members.length === 0) return null;
    const command: Command = ['hmget', keys.meta, ...members.map(({ text }) => text)];
    const answer = await readOne(this.#session, node, { slot: keys.slot, commands: [command] });
    const values = this.#bulkStringsOf(keys.meta, answer.replies[0]);
    const meta = new Map<string, string>();
    for (const [index, { raw }] of members.entries()) {
      if (stringOrNullAt(values, index) !== null) meta.set(raw, utf8At(values, index));
    }
    return meta;
  }

  async #detailsOf(
    node: RedisNode | null,
    keys: SubjectKeys,
    expired: number,
  ): Promise<SubjectDetails | typeof GONE> {
    const { replies } = await readOne(this.#session, node, {
      slot: keys.slot,
      commands: [
        ['zmscore', keys.entries, STATUS_MEMBER, VERSION_MEMBER],
        ['expiretime', keys.entries],
      ],
    });
    if (replies[1] === GONE) return GONE;
    const scores = this.#bulkStringsOf(keys.entries, replies[0]);
    const user = cachedStatus(numberOrNullAt(scores, 0), numberOrNullAt(scores, 1));
    return { expiresAt: this.#expiryIn(replies[1]), expired, user };
  }

  async #measureLarge(
    node: RedisNode | null,
    subjects: readonly LocatedSubject[],
    each: number,
    replies: readonly RespReply[],
    bytesOf: Map<number, number>,
  ): Promise<void> {
    const large: number[] = [];
    for (let index = 0; index < subjects.length; index++) {
      const set = replies[index * each];
      if (set instanceof BulkStrings && set.count > 2 * MOST_COMPACT_MEMBERS && !bytesOf.has(index))
        large.push(index);
    }
    if (large.length === 0) return;
    const questions: Reads = { commands: [], slots: [] };
    const commandIndexes = addMemoryReads(questions, subjects, large);
    const answers = await readMany(this.#session, node, questions);
    for (const [index, bytes] of memoryIn(answers.replies, commandIndexes)) bytesOf.set(index, bytes);
  }

  /** Returns the reply to ZSCAN or HSCAN: a cursor, then pairs. */
  #scanned(key: string, reply: RespReply | undefined): BulkStrings {
    const scanned = this.#bulkStringsOf(key, reply);
    if (scanned === NO_BULK_STRINGS || (scanned.count % 2 === 1 && /^\d+$/.test(stringAt(scanned, 0))))
      return scanned;
    throw this.#session.connection.translate(new UnexpectedReplyError());
  }

  #bulkStringsOf(key: string, reply: RespReply | undefined): BulkStrings {
    if (replyCode(reply) !== 'WRONGTYPE')
      return this.#session.connection.unwrap(reply, () => bulkStringsIn(reply));
    if (this.#options.isNamed) throw wrongType(key);
    return NO_BULK_STRINGS;
  }

  #expiryIn(reply: RespReply | undefined): number | null {
    if (reply instanceof Error) throw this.#session.connection.translate(reply);
    return typeof reply === 'number' && reply >= 0 ? reply : null;
  }
}

interface WholeSubject {
  index: number;
  located: LocatedSubject;
  set: BulkStrings;
  hash: BulkStrings;
  members: Members;
}

/** EXPIRETIME's reply for a missing key. */
const GONE = -2;

/** SCAN commands return compact keys whole, whatever COUNT says. */
const MEMBERS_AT_ONCE = 500;
/** The default of `zset-max-listpack-entries`. */
const MOST_COMPACT_MEMBERS = 128;

interface SubjectReads extends Reads {
  each: number;
  sampled: ReadonlyMap<number, number>;
}

function planReads(
  subjects: readonly LocatedSubject[],
  withDetails: boolean,
  isSampled: (() => boolean) | null,
): SubjectReads {
  const commands: Command[] = [];
  const slots: number[] = [];
  const chosen: number[] = [];
  for (let index = 0; index < subjects.length; index++) {
    const { entries, meta, slot } = subjects[index] as LocatedSubject;
    commands.push(['zscan', entries, 0, 'COUNT', MEMBERS_AT_ONCE]);
    slots.push(slot);
    if (withDetails) {
      commands.push(['hscan', meta, 0, 'COUNT', MEMBERS_AT_ONCE], ['expiretime', entries]);
      slots.push(slot, slot);
    }
    if (isSampled?.()) chosen.push(index);
  }
  const sampled = addMemoryReads({ commands, slots }, subjects, chosen);
  return { commands, slots, each: withDetails ? 3 : 1, sampled };
}

function addMemoryReads(
  { commands, slots }: Reads,
  subjects: readonly LocatedSubject[],
  chosen: readonly number[],
): Map<number, number> {
  const commandIndexes = new Map<number, number>();
  for (const index of chosen) {
    const { entries, meta, slot } = subjects[index] as LocatedSubject;
    commandIndexes.set(index, commands.length);
    commands.push(['memory', 'usage', entries], ['memory', 'usage', meta]);
    slots.push(slot, slot);
  }
  return commandIndexes;
}

function memoryIn(
  replies: readonly RespReply[],
  commandIndexes: ReadonlyMap<number, number>,
): Map<number, number> {
  const bytes = new Map<number, number>();
  for (const [index, first] of commandIndexes) {
    const [set, hash] = [replies[first], replies[first + 1]];
    if (typeof set === 'number') bytes.set(index, set + (typeof hash === 'number' ? hash : 0));
  }
  return bytes;
}
