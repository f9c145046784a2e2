import type { SurveyedSubject, SurveyOutcome, WalkOptions } from '../../domain/ports.js';
import type { Answer } from './batching.js';
import type { RedisNode } from './connect.js';
import { replyCode } from './errors.js';
import { numberIn, parseInfo } from './info.js';
import { parseEntry, STATUS_MEMBER, VERSION_MEMBER } from './keyspace.js';
import { type Command, sendPipeline } from './pipeline.js';
import { type WholeRegistry, walkSubjects } from './walk.js';

/**
 * Shows `visit` every subject with entries that expire after `horizon`.
 *
 * MEMORY USAGE is asked for the first subjects of each master and for some of the rest: it costs about as much as
 * reading the entries.
 */
export async function survey(
  whole: WholeRegistry,
  visit: (subject: SurveyedSubject) => void,
  horizon: number,
  signal?: AbortSignal,
): Promise<SurveyOutcome> {
  const { connection, batcher, keyspace } = whole;
  const sampled = new Map<string, number>();
  // What `visit` throws ends the survey and is the caller's; the walk would take it for a part that could not be seen.
  const ended = new AbortController();

  const take = async (node: RedisNode, subjects: readonly string[]): Promise<void> => {
    const answers = await Promise.all(
      subjects.map((sub) => {
        const keys = keyspace.keysOf(sub);
        const count = sampled.get(node.name) ?? 0;
        sampled.set(node.name, count + 1);
        const isSampled = count < SAMPLED_FIRST || count % SAMPLED_EVERY === 0;
        const commands: Command[] = [['zrange', keys.entries, 0, -1, 'WITHSCORES']];
        if (isSampled) commands.push(['memory', 'usage', keys.entries], ['memory', 'usage', keys.labels]);
        return batcher.send({ keys, commands });
      }),
    );
    for (const [index, answer] of answers.entries()) {
      const read = readSubject(answer, horizon);
      if (read instanceof Error) throw connection.translate(read);
      const sub = subjects[index];
      if (sub === undefined || read.entries.length === 0) continue;
      if (ended.signal.aborted) return;
      try {
        visit({ sub, node: answer.node?.name ?? node.name, ...read });
      } catch (error) {
        ended.abort(error);
      }
    }
  };

  const { missed, masters } = await walkSubjects(
    whole,
    take,
    signal === undefined ? ended.signal : AbortSignal.any([signal, ended.signal]),
  );
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

function readSubject({ replies }: Answer, horizon: number): Omit<SurveyedSubject, 'sub' | 'node'> | Error {
  const [set, setBytes, labelsBytes] = replies;
  const entries: RegistryEntry[] = [];
  let malformed = 0;
  // A key of a foreign type under a name of ours is not ours.
  if (set instanceof Error && replyCode(set) !== 'WRONGTYPE') return set;
  const values: string[] = Array.isArray(set) ? set : [];
  for (let index = 0; index < values.length; index += 2) {
    const member = values[index] ?? '';
    if (member === STATUS_MEMBER || member === VERSION_MEMBER) continue;
    const entry = parseEntry(member, values[index + 1] ?? '');
    if (entry === null) malformed++;
    else if (entry.exp > horizon) entries.push(entry);
  }
  const bytes = typeof setBytes === 'number' ? setBytes + (Number(labelsBytes) || 0) : null;
  return { entries, malformed, bytes };
}

async function usedMemory(node: RedisNode, timeoutMs: number): Promise<number | null> {
  try {
    const [info] = await sendPipeline(node.client, [['info', 'memory']], timeoutMs);
    return numberIn(parseInfo(info), 'used_memory');
  } catch {
    return null;
  }
}
