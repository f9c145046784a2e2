import { type Answer, commandsOf, isUndelivered, type Request } from './batching.js';
import type { RedisNode } from './connect.js';
import type { Command, Reply } from './pipeline.js';
import { bulksOf, type RespReply } from './resp.js';
import type { WholeRegistry } from './walk.js';

/** The replies to one request, error replies of its own in their places. */
export interface BulkAnswer {
  replies: RespReply[];
  /** The name of the master that answered. */
  node: string;
}

/**
 * Asks one master very much at once; without one each request goes to whoever serves its slot. What it cannot answer any
 * more (a slot has moved, the connection is lost, a script is not known) goes the way of all other requests, which follows
 * redirects: so only what may be asked twice may be asked here.
 *
 * @throws JwtctlError where somebody who should answer does not
 */
export async function readInBulk(
  whole: WholeRegistry,
  node: RedisNode | null,
  requests: readonly Request[],
): Promise<BulkAnswer[]> {
  if (node === null) return Promise.all(requests.map((request) => readAnew(whole, request)));
  const { connection } = whole;
  const commands: Command[] = [];
  for (const request of requests) commands.push(...commandsOf(request));
  const replies = await connection
    .reading(node)
    .send(commands, connection.timeoutMs)
    .catch(() => null);
  const answers: Array<BulkAnswer | Promise<BulkAnswer>> = [];
  let isWhole = true;
  let from = 0;
  for (const request of requests) {
    const own = replies?.slice(from, from + commandsOf(request).length);
    from += own?.length ?? 0;
    if (own !== undefined && !own.some(isUndelivered)) {
      answers.push({ replies: own, node: node.name });
      continue;
    }
    isWhole = false;
    answers.push(readAnew(whole, request, node));
  }
  // To wait for each of so many takes longer than to read them.
  return isWhole ? (answers as BulkAnswer[]) : Promise.all(answers);
}

async function readAnew(
  { connection, batcher }: WholeRegistry,
  request: Request,
  asked: RedisNode | null = null,
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
  return bulksOf(strings);
}

function append(strings: Array<string | null>, value: unknown): void {
  if (Array.isArray(value)) for (const one of value) append(strings, one);
  else strings.push(value === null ? null : String(value));
}
