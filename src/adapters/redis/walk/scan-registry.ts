import type { OnSubjects, ScannedSubject, ScanOptions, ScanOutcome } from '../../../domain/ports/index.js';
import { LEFT_BY_INTERRUPTION } from '../../../domain/ports/registry-scanner.js';
import type { RedisNode } from '../cluster/redis-connection.js';
import type { LocatedSubject } from '../keyspace.js';
import type { RegistrySession } from '../session.js';
import { SubjectReader } from '../subject/reader.js';
import { numberIn, parseInfo } from '../wire/info.js';
import { sendPipeline } from '../wire/pipeline.js';
import { AdaptiveBatch } from './adaptive-batch.js';
import { walkSubjects } from './walk-subjects.js';
import type { WalkOutcome } from './walk-types.js';

export async function scan(
  session: RegistrySession,
  onSubjects: OnSubjects,
  options: ScanOptions & { tolerance: number },
): Promise<ScanOutcome> {
  const { missed, masters } = await readAll(session, onSubjects, options);
  const nodes = await Promise.all(
    masters.map(async ({ node, slots }) => {
      const usedMemoryBytes = await usedMemory(node, session.connection.timeoutMs);
      return { node: node.name, role: 'master' as const, slots, usedMemoryBytes };
    }),
  );
  return { complete: missed.length === 0, missed, nodes };
}

async function readAll(
  session: RegistrySession,
  onSubjects: OnSubjects,
  options: ScanOptions & { tolerance: number },
): Promise<WalkOutcome> {
  const { now, signal, withDetails = false, tolerance } = options;
  const readOptions = { horizon: now - tolerance, withDetails, isNamed: options.sub !== undefined };
  const reader = new SubjectReader(session, readOptions);
  const batch = new AdaptiveBatch({ target: CHARACTERS_AT_ONCE, first: 100, most: SUBJECTS_AT_ONCE });
  // An error of `onSubjects` ends the scan; the walk alone would report it as a part that could not be read.
  const ended = new AbortController();
  const stop = signal === undefined ? ended.signal : AbortSignal.any([signal, ended.signal]);

  /** Masters are walked in parallel, but `onSubjects` gets one portion at a time. */
  let lastHandOver = Promise.resolve();
  const handOver = (subjects: readonly ScannedSubject[]): Promise<void> => {
    const handOverNow = lastHandOver.then(async () => {
      stop.throwIfAborted();
      try {
        await onSubjects(subjects);
      } catch (error) {
        ended.abort(error);
        throw error;
      }
    });
    lastHandOver = handOverNow.catch(() => {});
    return handOverNow;
  };

  const sampled = new Map<string, number>();
  const sampling = (node: RedisNode) => (): boolean => {
    const count = sampled.get(node.name) ?? 0;
    sampled.set(node.name, count + 1);
    return count < SAMPLED_FIRST || count % SAMPLED_EVERY === 0;
  };

  const takeSubjects = async (node: RedisNode, subjects: readonly LocatedSubject[]): Promise<void> => {
    for (let from = 0; from < subjects.length; ) {
      stop.throwIfAborted();
      const portion = subjects.slice(from, from + batch.size);
      from += portion.length;
      const { shown, large, size } = await reader.read(node, portion, sampling(node));
      batch.learn(portion.length, size);
      if (shown.length > 0) await handOver(shown);
      for (const subject of large) {
        for await (const part of reader.parts(subject)) await handOver([part]);
      }
    }
  };

  if (options.sub !== undefined) {
    const node = await ownerOf(session, options.sub);
    const missed: string[] = [];
    await takeSubjects(node, [{ sub: options.sub, ...session.keyspace.keysOf(options.sub) }]).catch(
      (error) => {
        if (!signal?.aborted || ended.signal.aborted) throw error;
        missed.push(LEFT_BY_INTERRUPTION);
      },
    );
    return { missed, masters: [{ node, slots: null }] };
  }
  const outcome = await walkSubjects(session, takeSubjects, { ...options, signal: stop });
  ended.signal.throwIfAborted();
  return outcome;
}

/** About 1,500 entries, which a server reads in a millisecond. */
const CHARACTERS_AT_ONCE = 75_000;
const SUBJECTS_AT_ONCE = 500;

const SAMPLED_FIRST = 20;
const SAMPLED_EVERY = 200;

/** If the owner is unknown, any node will do: it redirects. */
async function ownerOf({ connection, keyspace }: RegistrySession, sub: string): Promise<RedisNode> {
  await connection.ready();
  const node = connection.owners()(keyspace.keysOf(sub).slot) ?? connection.nodes()[0];
  if (node === undefined)
    throw connection.translate(new Error('The connection was lost right after it opened.'));
  return node;
}

async function usedMemory(node: RedisNode, timeoutMs: number): Promise<number | null> {
  try {
    const [info] = await sendPipeline(node.client, [['info', 'memory']], timeoutMs);
    return numberIn(parseInfo(info), 'used_memory');
  } catch {
    return null;
  }
}
