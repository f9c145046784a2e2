import type { SubjectDetails, SurveyedSubject, SurveyOutcome, WalkOptions } from '../../domain/ports.js';
import type { RedisNode } from './connect.js';
import { replyCode } from './errors.js';
import { numberIn, parseInfo } from './info.js';
import { knownStatus, parseEntry, STATUS_MEMBER, type SubjectKeys, VERSION_MEMBER } from './keyspace.js';
import { type Command, type Reply, sendPipeline } from './pipeline.js';
import { type WholeRegistry, walkSubjects } from './walk.js';

/** Takes subjects in, one portion after the other. */
export type TakeSurveyed = (subjects: readonly SurveyedSubject[]) => void | Promise<void>;

export interface SurveyOptions extends WalkOptions {
  withDetails?: boolean;
  /** This subject alone. */
  sub?: string;
  /** How long after its `exp` an entry still counts. */
  tolerance: number;
}

/**
 * Shows `take` every subject with live or malformed entries, and with details every other one too.
 *
 * MEMORY USAGE is asked for the first subjects of each master and for some of the rest: it costs about as much as
 * reading the entries.
 */
export async function survey(
  whole: WholeRegistry,
  take: TakeSurveyed,
  options: SurveyOptions,
): Promise<SurveyOutcome> {
  const { connection, batcher, keyspace } = whole;
  const { signal, withDetails = false } = options;
  const horizon = options.now - options.tolerance;
  const sampled = new Map<string, number>();
  // What `take` throws ends the survey and is the caller's; the walk would take it for a part that could not be seen.
  const ended = new AbortController();
  let taken: Promise<void> = Promise.resolve();

  const isSampled = (node: Pick<RedisNode, 'name'>): boolean => {
    const count = sampled.get(node.name) ?? 0;
    sampled.set(node.name, count + 1);
    return count < SAMPLED_FIRST || count % SAMPLED_EVERY === 0;
  };

  /** Masters are walked side by side, but `take` is given one portion at a time. */
  const handOver = (subjects: readonly SurveyedSubject[]): Promise<void> => {
    taken = taken.then(async () => {
      if (ended.signal.aborted) return;
      await take(subjects);
    });
    taken = taken.catch((error) => ended.abort(error));
    return taken;
  };

  const takeSubjects = async (node: Pick<RedisNode, 'name'>, subjects: readonly string[]): Promise<void> => {
    const answers = await Promise.all(
      subjects.map((sub) => {
        const keys = keyspace.keysOf(sub);
        return batcher.send({ keys, commands: readsOf(keys, { withDetails, isSampled: isSampled(node) }) });
      }),
    );
    const read: SurveyedSubject[] = [];
    for (const [index, answer] of answers.entries()) {
      const failure = answer.replies.find(
        (reply) => reply instanceof Error && replyCode(reply) !== 'WRONGTYPE',
      );
      if (failure !== undefined) throw connection.translate(failure);
      const subject = readSubject(answer.replies, { horizon, withDetails });
      const isShown = withDetails
        ? subject.details !== null
        : subject.entries.length > 0 || subject.malformed > 0;
      if (isShown)
        read.push({ sub: subjects[index] ?? '', node: answer.node?.name ?? node.name, ...subject });
    }
    if (read.length > 0) await handOver(read);
  };

  if (options.sub !== undefined) {
    await connection.ready();
    const node = connection.ownerName(keyspace.keysOf(options.sub).slot) ?? '';
    await takeSubjects({ name: node }, [options.sub]);
    ended.signal.throwIfAborted();
    const master = { node, role: 'master', slots: null, usedMemoryBytes: null } as const;
    return { complete: true, missed: [], nodes: [master] };
  }
  const { missed, masters } = await walkSubjects(whole, takeSubjects, {
    ...options,
    signal: signal === undefined ? ended.signal : AbortSignal.any([signal, ended.signal]),
  });
  ended.signal.throwIfAborted();
  const nodes = await Promise.all(
    masters.map(async ({ node, slots }) => {
      const usedMemoryBytes = await usedMemory(node, connection.timeoutMs);
      return { node: node.name, role: 'master' as const, slots, usedMemoryBytes };
    }),
  );
  return { complete: missed.length === 0, missed, nodes };
}

const SAMPLED_FIRST = 20;
const SAMPLED_EVERY = 50;

/** In the order in which {@link readSubject} takes their replies. */
function readsOf(
  keys: SubjectKeys,
  { withDetails, isSampled }: { withDetails: boolean; isSampled: boolean },
): Command[] {
  const reads: Command[] = [['zrange', keys.entries, 0, -1, 'WITHSCORES']];
  if (withDetails) reads.push(['hgetall', keys.labels], ['expiretime', keys.entries]);
  if (isSampled) reads.push(['memory', 'usage', keys.entries], ['memory', 'usage', keys.labels]);
  return reads;
}

/** `details` is null where nothing is kept of the subject, too. A key of a foreign type under a name of ours is not ours. */
function readSubject(
  replies: readonly Reply[],
  { horizon, withDetails }: { horizon: number; withDetails: boolean },
): Omit<SurveyedSubject, 'sub' | 'node'> {
  const [set, ...others] = replies;
  const [hash, expiresAt] = withDetails ? others.splice(0, 2) : [];
  const [setBytes, labelsBytes] = others;
  // ioredis makes an object of this reply.
  const labels = new Map<string, string>(hash instanceof Error ? [] : Object.entries(hash ?? {}));
  const noted = new Map<string, string>();
  const entries: SurveyedSubject['entries'] = [];
  let malformed = 0;
  let expired = 0;
  const values: string[] = Array.isArray(set) ? set : [];
  for (let index = 0; index < values.length; index += 2) {
    const member = values[index] ?? '';
    const score = values[index + 1] ?? '';
    if (member === STATUS_MEMBER || member === VERSION_MEMBER) {
      noted.set(member, score);
      continue;
    }
    const entry = parseEntry(member, score);
    if (entry === null) malformed++;
    else if (entry.exp > horizon) entries.push({ ...entry, label: labels.get(member) ?? null });
    else expired++;
  }
  const details: SubjectDetails | null =
    withDetails && values.length > 0
      ? { expiresAt: Number(expiresAt) < 0 ? null : Number(expiresAt), expired, user: knownStatus(noted) }
      : null;
  const bytes = typeof setBytes === 'number' ? setBytes + (Number(labelsBytes) || 0) : null;
  return { isFirst: true, isLast: true, entries, malformed, bytes, details };
}

async function usedMemory(node: RedisNode, timeoutMs: number): Promise<number | null> {
  try {
    const [info] = await sendPipeline(node.client, [['info', 'memory']], timeoutMs);
    return numberIn(parseInfo(info), 'used_memory');
  } catch {
    return null;
  }
}
