import type { SubjectDetails, SurveyedSubject } from '../../domain/ports.js';
import type { Request } from './batching.js';
import { type BulkAnswer, readInBulk } from './bulk-reads.js';
import type { RedisNode } from './connect.js';
import { foreignKey, replyCode } from './errors.js';
import {
  isEntryMember,
  type LocatedSubject,
  notedStatus,
  parseEntryIn,
  STATUS_MEMBER,
  type SubjectKeys,
  VERSION_MEMBER,
} from './keyspace.js';
import type { Command } from './pipeline.js';
import {
  type Bulks,
  endOf,
  NO_BULKS,
  numberAt,
  numberOrNullAt,
  type RespReply,
  sizeOf,
  startOf,
  stringAt,
  stringOrNullAt,
  utf8,
  utf8At,
} from './resp.js';
import { PAGE } from './scripts.js';
import type { WholeRegistry } from './walk.js';

export interface ReadOptions {
  /** What expires later is live. */
  horizon: number;
  /** Labels too, what else is kept of a subject, and subjects without live entries. */
  withDetails: boolean;
  /** Whether a subject was asked for by name: then a key of a foreign type is an error, and otherwise nothing of ours. */
  isNamed: boolean;
}

/** A subject that is too large to be read at once. */
export interface LargeSubject {
  located: LocatedSubject;
  node: RedisNode | null;
  bytes: number | null;
}

/** A subject of which nothing is left but labels: they say when that expires. */
interface LabelsAlone {
  located: LocatedSubject;
  details: SubjectDetails;
}

/** Reads subjects for a survey: those of a usual size whole and many at once, any other in parts. */
export class SubjectReader {
  readonly #whole: WholeRegistry;
  readonly #options: ReadOptions;

  constructor(whole: WholeRegistry, options: ReadOptions) {
    this.#whole = whole;
    this.#options = options;
  }

  /**
   * @param node that serves all of them; null where that is not known
   * @param isSampled whether the memory of the next subject is asked for: it costs about as much as reading the entries
   * @returns what is to be shown, what has to be read in parts, and how many characters all of it was
   * @throws JwtctlError
   */
  async read(
    node: RedisNode | null,
    subjects: readonly LocatedSubject[],
    isSampled: () => boolean,
  ): Promise<{ shown: SurveyedSubject[]; large: LargeSubject[]; size: number }> {
    const { withDetails } = this.#options;
    const asked = subjects.map((located) => ({
      slot: located.slot,
      commands: readsOf(located, withDetails, isSampled()),
    }));
    const answers = await readInBulk(this.#whole, node, asked);
    const shown: SurveyedSubject[] = [];
    const large: LargeSubject[] = [];
    const labelsAlone: LabelsAlone[] = [];
    let size = 0;
    for (const [index, answer] of answers.entries()) {
      const located = subjects[index] as LocatedSubject;
      if (answer.replies[0] instanceof Error && replyCode(answer.replies[0]) === 'WRONGTYPE') {
        if (this.#options.isNamed) throw foreignKey(located.entries);
        continue;
      }
      const { set, labels, expiresAt, bytes } = this.#unpack(answer);
      size += sizeOf(set) + sizeOf(labels);
      if (isPartial(set) || (isPartial(labels) && !isEmpty(set))) {
        large.push({ located, node, bytes });
        continue;
      }
      const labelOf = labelsIn(labels);
      const { entries, malformed, expired, ours, user } = this.#readMembers(set, labelOf);
      const details = withDetails ? { expiresAt, expired, user } : null;
      if (details !== null && ours === 0 && [...(labelOf?.keys() ?? [])].some(isEntryMember)) {
        labelsAlone.push({ located, details });
      } else if (withDetails ? ours === 0 : entries.length === 0 && (malformed === 0 || ours === 0)) continue;
      shown.push({
        sub: located.sub,
        node: answer.node,
        isFirst: true,
        isLast: true,
        entries,
        malformed,
        bytes,
        details,
      });
    }
    if (labelsAlone.length > 0) await this.#readExpiries(node, labelsAlone);
    return { shown, large, size };
  }

  /**
   * The parts of a subject, in the order of `exp`: an entry that is there all the while is in one of them and in no other.
   * What has expired comes before all that lives, so that it has been counted by the first part.
   *
   * @throws JwtctlError
   */
  async *parts({ located: keys, node, bytes }: LargeSubject): AsyncGenerator<SurveyedSubject> {
    const { withDetails } = this.#options;
    const skipped = { ours: 0, malformed: 0, expired: 0 };
    let isFirst = true;
    let cursor = '';
    do {
      const answer = await this.#ask(node, {
        slot: keys.slot,
        script: PAGE,
        keys: [keys.entries],
        args: [cursor],
      });
      const page = this.#bulks(answer.replies[0]);
      cursor = page.count === 0 ? '' : stringAt(page, 0);
      const labels = withDetails ? await this.#labelsOf(node, keys, page) : null;
      const { entries, malformed, expired, ours } = this.#readMembers(page, labels);
      skipped.ours += ours;
      skipped.malformed += malformed;
      skipped.expired += expired;
      const isLast = cursor === '';
      if (entries.length === 0 && !isLast) continue;
      const isKept = skipped.ours > 0 && (withDetails || entries.length + skipped.malformed > 0);
      if (isFirst && !isKept) return;
      const details = isFirst && withDetails ? await this.#detailsOf(node, keys, skipped.expired) : null;
      const part = { isFirst, isLast, entries, malformed: skipped.malformed, details };
      yield { sub: keys.sub, node: answer.node, ...part, bytes: isFirst ? bytes : null };
      isFirst = false;
      skipped.malformed = 0;
    } while (cursor !== '');
  }

  /** All live entries of one subject. @throws JwtctlError */
  async list(located: LocatedSubject): Promise<SurveyedSubject['entries']> {
    const { shown, large } = await this.read(null, [located], () => false);
    const entries = shown.flatMap((subject) => subject.entries);
    for (const subject of large) {
      for await (const part of this.parts(subject)) entries.push(...part.entries);
    }
    return entries;
  }

  async #ask(node: RedisNode | null, request: Request): Promise<BulkAnswer> {
    const [answer] = await readInBulk(this.#whole, node, [request]);
    return answer as BulkAnswer;
  }

  async #labelsOf(
    node: RedisNode | null,
    keys: SubjectKeys,
    page: Bulks,
  ): Promise<Map<string, string> | null> {
    const members: Array<{ raw: string; text: string }> = [];
    for (let index = 1; index < page.count; index += 2) {
      members.push({ raw: stringAt(page, index), text: utf8At(page, index) });
    }
    if (members.length === 0) return null;
    const command: Command = ['hmget', keys.labels, ...members.map(({ text }) => text)];
    const answer = await this.#ask(node, { slot: keys.slot, commands: [command] });
    const values = this.#bulks(answer.replies[0]);
    const labels = new Map<string, string>();
    for (const [index, { raw }] of members.entries()) {
      if (stringOrNullAt(values, index) !== null) labels.set(raw, utf8At(values, index));
    }
    return labels;
  }

  async #detailsOf(
    node: RedisNode | null,
    keys: SubjectKeys,
    expired: number,
  ): Promise<SurveyedSubject['details']> {
    const { replies } = await this.#ask(node, {
      slot: keys.slot,
      commands: [
        ['zmscore', keys.entries, STATUS_MEMBER, VERSION_MEMBER],
        ['expiretime', keys.entries],
      ],
    });
    const scores = this.#bulks(replies[0]);
    const user = notedStatus(numberOrNullAt(scores, 0), numberOrNullAt(scores, 1));
    return { expiresAt: toTime(replies[1]), expired, user };
  }

  async #readExpiries(node: RedisNode | null, subjects: readonly LabelsAlone[]): Promise<void> {
    const asked = subjects.map(({ located: { slot, labels } }): Request => {
      return { slot, commands: [['expiretime', labels]] };
    });
    const answers = await readInBulk(this.#whole, node, asked);
    for (const [index, { replies }] of answers.entries()) {
      const { details } = subjects[index] as LabelsAlone;
      details.expiresAt = toTime(replies[0]);
    }
  }

  /** The replies to {@link readsOf}. */
  #unpack({ replies }: BulkAnswer) {
    const { withDetails } = this.#options;
    const setBytes = replies[withDetails ? 3 : 1];
    const labelsBytes = replies[withDetails ? 4 : 2];
    return {
      set: this.#bulks(replies[0]),
      labels: withDetails ? this.#bulks(replies[1]) : NO_BULKS,
      expiresAt: withDetails ? toTime(replies[2]) : null,
      bytes: typeof setBytes === 'number' ? setBytes + (Number(labelsBytes) || 0) : null,
    };
  }

  /** A key of a foreign type under a name of ours is not ours. @throws JwtctlError for any other error */
  #bulks(reply: RespReply | undefined): Bulks {
    if (reply instanceof Error && replyCode(reply) !== 'WRONGTYPE')
      throw this.#whole.connection.translate(reply);
    return typeof reply === 'object' && reply !== null && 'marks' in reply ? reply : NO_BULKS;
  }

  /** What follows a cursor: members and scores. */
  #readMembers(set: Bulks, labels: ReadonlyMap<string, string> | null) {
    const { horizon } = this.#options;
    const entries: SurveyedSubject['entries'] = [];
    let status: number | null = null;
    let version: number | null = null;
    let malformed = 0;
    let expired = 0;
    for (let index = 1; index < set.count; index += 2) {
      const score = numberAt(set, index + 1);
      const entry = parseEntryIn(set, startOf(set, index), endOf(set, index), score);
      if (entry !== null) {
        const { jti, keyId, iat, exp } = entry;
        if (exp <= horizon) expired += 1;
        else {
          const label = labels === null ? null : (labels.get(stringAt(set, index)) ?? null);
          entries.push({ jti: set.isAscii ? jti : utf8(jti), keyId, iat, exp, label });
        }
        continue;
      }
      const member = stringAt(set, index);
      if (member === STATUS_MEMBER) status = score;
      else if (member === VERSION_MEMBER) version = score;
      else malformed += 1;
    }
    // A set in which nothing is ours is somebody else's.
    const ours = entries.length + expired + Number(status !== null) + Number(version !== null);
    return { entries, malformed, expired, ours, user: notedStatus(status, version) };
  }
}

/** SCAN commands tell compact keys (up to 128 members by default) whole whatever COUNT says. */
const MEMBERS_AT_ONCE = 500;

/** Its replies are for {@link SubjectReader}'s `#unpack`. */
function readsOf(keys: SubjectKeys, withDetails: boolean, isSampled: boolean): Command[] {
  const reads: Command[] = [['zscan', keys.entries, 0, 'COUNT', MEMBERS_AT_ONCE]];
  if (withDetails) {
    reads.push(['hscan', keys.labels, 0, 'COUNT', MEMBERS_AT_ONCE], ['expiretime', keys.entries]);
  }
  if (isSampled) reads.push(['memory', 'usage', keys.entries], ['memory', 'usage', keys.labels]);
  return reads;
}

/** One call of a SCAN command names nothing twice; several calls may, and miss nothing only of what stays. */
function isPartial(scanned: Bulks): boolean {
  return scanned.count > 0 && stringAt(scanned, 0) !== '0';
}

function isEmpty(scanned: Bulks): boolean {
  return scanned.count <= 1;
}

/** Null where there are none. */
function labelsIn(hash: Bulks): Map<string, string> | null {
  if (isEmpty(hash)) return null;
  const labels = new Map<string, string>();
  for (let index = 1; index < hash.count; index += 2) {
    labels.set(stringAt(hash, index), utf8At(hash, index + 1));
  }
  return labels;
}

function toTime(reply: RespReply | undefined): number | null {
  return typeof reply === 'number' && reply >= 0 ? reply : null;
}
