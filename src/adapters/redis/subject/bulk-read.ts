import { type Answer, commandsOf, isUndelivered, type Request } from '../cluster/batcher.js';
import type { RedisNode } from '../cluster/redis-connection.js';
import type { RegistrySession } from '../session.js';
import { bulkStringsOf } from '../wire/bulk-strings.js';
import type { RespReply } from '../wire/codec.js';
import { isDefect } from '../wire/errors.js';
import type { Command, Reply } from '../wire/pipeline.js';

// Both ask one master; without one each question goes to whoever serves its slot. What it cannot answer any more (a slot has
// moved, the connection is lost) goes the way of all other requests, which follows redirects: so only what may be asked twice
// may be asked here. That way also loads a script that a server does not know, which takes a request of its own: readOne.

export interface BulkAnswer {
  /** Error replies of the commands' own in their places. */
  replies: RespReply[];
  /** The name of the master that answered. */
  node: string;
}

/** @throws JwtctlError where nobody answers who should */
export async function readOne(
  session: RegistrySession,
  node: RedisNode | null,
  request: Request,
): Promise<BulkAnswer> {
  const replies = node === null ? null : await sendTo(session, node, commandsOf(request));
  if (node === null || replies === null || replies.some(isUndelivered))
    return readAnew(session, node, request);
  return { replies, node: node.name };
}

export interface Questions {
  commands: Command[];
  /** The hash slot of each command. */
  slots: number[];
}

export interface BulkAnswers {
  /** A reply for each command, error replies of its own in their places. */
  replies: RespReply[];
  /** The name of the master that answered a command. */
  nodeOf(index: number): string;
}

/**
 * The same for very many commands at once. Nothing is made for each of them where the master answers all: of a million
 * subjects that was as much work as to read their entries.
 *
 * @throws JwtctlError where nobody answers who should
 */
export async function readMany(
  session: RegistrySession,
  node: RedisNode | null,
  { commands, slots }: Questions,
): Promise<BulkAnswers> {
  const own = node === null ? null : await sendTo(session, node, commands);
  if (node !== null && own !== null && !own.some(isUndelivered)) {
    return { replies: own, nodeOf: () => node.name };
  }
  const elsewhere = new Map<number, string>();
  const replies = await Promise.all(
    commands.map(async (command, index): Promise<RespReply> => {
      const reply = own?.[index];
      if (reply !== undefined && !isUndelivered(reply)) return reply;
      const answer = await readAnew(session, node, { slot: slots[index] ?? 0, commands: [command] });
      elsewhere.set(index, answer.node);
      return answer.replies[0] ?? null;
    }),
  );
  return { replies, nodeOf: (index) => elsewhere.get(index) ?? node?.name ?? '' };
}

/** Null where not all was answered. */
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

async function readAnew(
  { connection, batcher }: RegistrySession,
  asked: RedisNode | null,
  request: Request,
): Promise<BulkAnswer> {
  const answer: Answer = await batcher.send(request);
  const name = answer.node?.name ?? connection.ownerName(request.slot) ?? asked?.name ?? '';
  return { replies: answer.replies.map(toResp), node: name };
}

/** What ioredis made of a reply, as it would have come here. */
function toResp(reply: Reply): RespReply {
  if (reply === null || reply instanceof Error) return reply as null | Error;
  if (typeof reply === 'number') return reply;
  const strings: Array<string | null> = [];
  append(strings, reply);
  return bulkStringsOf(strings);
}

function append(strings: Array<string | null>, value: unknown): void {
  if (Array.isArray(value)) for (const one of value) append(strings, one);
  else strings.push(value === null ? null : String(value));
}
