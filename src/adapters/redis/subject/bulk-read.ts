import { type Answer, commandsOf, isUndelivered, type Request } from '../cluster/batcher.js';
import type { RedisNode } from '../cluster/redis-connection.js';
import type { RegistrySession } from '../session.js';
import { bulkStringsOf } from '../wire/bulk-strings.js';
import type { RespReply } from '../wire/codec.js';
import type { Command, Reply } from '../wire/pipeline.js';
import { isDefect } from '../wire/redis-errors.js';

// Reads go to one master on its read connection. Undelivered ones go through the batcher, which follows
// redirects and loads scripts (one request at a time: readOne). So every read must be safe to repeat.

export interface NodeReplies {
  replies: RespReply[];
  node: string;
}

export async function readOne(
  session: RegistrySession,
  node: RedisNode | null,
  request: Request,
): Promise<NodeReplies> {
  const replies = node === null ? null : await sendTo(session, node, commandsOf(request));
  if (node === null || replies === null || replies.some(isUndelivered))
    return readThroughBatcher(session, node, request);
  return { replies, node: node.name };
}

export interface Reads {
  commands: Command[];
  slots: number[];
}

export interface ManyReplies {
  replies: RespReply[];
  nodeOf(index: number): string;
}

/** Creates no object per command if the master answers all of them. */
export async function readMany(
  session: RegistrySession,
  node: RedisNode | null,
  { commands, slots }: Reads,
): Promise<ManyReplies> {
  const own = node === null ? null : await sendTo(session, node, commands);
  if (node !== null && own !== null && !own.some(isUndelivered)) {
    return { replies: own, nodeOf: () => node.name };
  }
  const elsewhere = new Map<number, string>();
  const replies = await Promise.all(
    commands.map(async (command, index): Promise<RespReply> => {
      const reply = own?.[index];
      if (reply !== undefined && !isUndelivered(reply)) return reply;
      const answer = await readThroughBatcher(session, node, {
        slot: slots[index] ?? 0,
        commands: [command],
      });
      elsewhere.set(index, answer.node);
      return answer.replies[0] ?? null;
    }),
  );
  return { replies, nodeOf: (index) => elsewhere.get(index) ?? node?.name ?? '' };
}

function sendTo(
  { connection }: RegistrySession,
  node: RedisNode,
  commands: readonly Command[],
): Promise<RespReply[] | null> {
  return connection
    .reading(node)
    .send(commands, connection.timeoutMs)
    .catch((error) => {
      if (isDefect(error)) throw error;
      return null;
    });
}

async function readThroughBatcher(
  { connection, batcher }: RegistrySession,
  asked: RedisNode | null,
  request: Request,
): Promise<NodeReplies> {
  const answer: Answer = await batcher.send(request);
  const name = answer.node?.name ?? connection.ownerName(request.slot) ?? asked?.name ?? '';
  return { replies: answer.replies.map(toResp), node: name };
}

function toResp(reply: Reply): RespReply {
  if (reply === null || reply instanceof Error) return reply as null | Error;
  if (typeof reply === 'number') return reply;
  const values: unknown[] = [reply].flat(Number.POSITIVE_INFINITY);
  return bulkStringsOf(values.map((value) => (value === null ? null : String(value))));
}
