import { INTERRUPTED } from '../../../domain/ports/registry-scanner.js';
import { ownCopy } from '../../../domain/shared/detached-string.js';
import type { RedisNode } from '../cluster/redis-connection.js';
import type { LocatedSubject } from '../keyspace.js';
import type { RegistrySession } from '../session.js';
import { stringAt } from '../wire/bulk-strings.js';
import { bulkStringsIn } from '../wire/codec.js';
import { unwrap } from '../wire/pipeline.js';
import { UnexpectedReplyError } from '../wire/redis-errors.js';
import { integerIn, isNextCursor } from '../wire/reply-shapes.js';
import type { TakeSubjects, WalkOutcome, WalkSteering } from './walk-types.js';

export async function scanServer(
  session: RegistrySession,
  take: TakeSubjects,
  steering: WalkSteering,
): Promise<WalkOutcome> {
  const { signal, onProgress } = steering;
  const [node] = session.connection.nodes();
  if (node === undefined)
    throw session.connection.translate(new Error('The connection was lost right after it opened.'));
  const masters = [{ node, slots: null }];
  const missed = (reason: string) => ({ missed: [`keys of ${node.name} (${reason})`], masters });
  let done = 0;
  try {
    for await (const subjects of scanSubjects(session, node, () => true)) {
      if (signal?.aborted) return missed(INTERRUPTED);
      await take(node, subjects);
      done += subjects.length;
      onProgress?.({ unit: 'subjects', done, total: null });
    }
    return { missed: [], masters };
  } catch (error) {
    return missed(signal?.aborted ? INTERRUPTED : session.connection.reasonFor(node.name, error));
  }
}

/** Yields each subject once. SCAN may repeat keys, so seen subjects are kept; passes bound their memory. */
export async function* scanSubjects(
  { connection, keyspace }: RegistrySession,
  node: RedisNode,
  isWanted: (slot: number) => boolean,
): AsyncGenerator<LocatedSubject[]> {
  const { timeoutMs } = connection;
  const [size] = await connection.reading(node).send([['dbsize']], timeoutMs);
  const passes = Math.max(1, Math.ceil(integerIn(unwrap(size)) / SUBJECTS_PER_PASS));
  for (let pass = 0; pass < passes; pass++) {
    const seen = new Set<string>();
    let cursor = '0';
    do {
      const [reply] = await connection
        .reading(node)
        .send([['scan', cursor, 'MATCH', keyspace.pattern, 'COUNT', KEYS_PER_STEP]], timeoutMs);
      const found = bulkStringsIn(reply);
      const next = stringAt(found, 0);
      if (!isNextCursor(next, cursor)) throw new UnexpectedReplyError();
      cursor = next;
      const subjects: LocatedSubject[] = [];
      for (let index = 1; index < found.count; index++) {
        const key = stringAt(found, index);
        const subject = keyspace.locate(key);
        if (subject === null || spread(subject.sub) % passes !== pass || seen.has(subject.sub)) continue;
        seen.add(ownCopy(subject.sub));
        if (isWanted(subject.slot)) subjects.push(subject);
      }
      if (subjects.length > 0) yield subjects;
    } while (cursor !== '0');
  }
}

/** FNV-1a. The hash slot would not do, because all subjects may share one. */
function spread(sub: string): number {
  let hash = 0x811c9dc5;
  for (let index = 0; index < sub.length; index++) {
    hash = Math.imul(hash ^ sub.charCodeAt(index), 0x01000193);
  }
  return hash >>> 0;
}

const KEYS_PER_STEP = 1000;
/** Their names take about 60 MB. */
const SUBJECTS_PER_PASS = 500_000;
