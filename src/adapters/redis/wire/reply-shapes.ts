import type { Reply } from './pipeline.js';
import { UnexpectedReplyError } from './redis-errors.js';

// A server that is not Redis, or a proxy, may send anything. Each function returns the reply in the form that the
// command has. @throws UnexpectedReplyError

export function integerIn(reply: Reply): number {
  if (isInteger(reply)) return reply;
  throw new UnexpectedReplyError();
}

export function integersIn(reply: Reply): number[] {
  if (Array.isArray(reply) && reply.every(isInteger)) return reply;
  throw new UnexpectedReplyError();
}

/** For scripts whose reply begins with a state. */
export function outcomeIn(reply: Reply): [state: number, ...values: Array<number | string>] {
  const isValue = (value: unknown) => typeof value === 'string' || isInteger(value);
  if (Array.isArray(reply) && isInteger(reply[0]) && reply.every(isValue))
    return reply as [number, ...Array<number | string>];
  throw new UnexpectedReplyError();
}

export function textIn(reply: Reply): string {
  if (typeof reply === 'string') return reply;
  throw new UnexpectedReplyError();
}

/** @param count of the values; any if it is not given */
export function textsOrNullsIn(reply: Reply, count?: number): Array<string | null> {
  const isText = (value: unknown) => value === null || typeof value === 'string';
  if (Array.isArray(reply) && reply.length === (count ?? reply.length) && reply.every(isText)) return reply;
  throw new UnexpectedReplyError();
}

/** For ZMSCORE. An infinite score is NaN: jwtctl writes none. */
export function scoresIn(reply: Reply, count: number): Array<number | null> {
  const texts = textsOrNullsIn(reply, count);
  if (!texts.every((text) => text === null || isScore(text))) throw new UnexpectedReplyError();
  return texts.map((text) => (text === null ? null : Number(text)));
}

export function isScore(text: string): boolean {
  return !Number.isNaN(Number(text)) || /^-?inf$/.test(text);
}

/**
 * For the SCAN commands.
 * @param asked the cursor of the command. Another one follows it, so that no server can answer forever with the same one
 */
export function pageIn(reply: Reply, asked: string): [cursor: string, values: string[]] {
  const [cursor, values] = Array.isArray(reply) ? reply : [];
  const isPage = typeof cursor === 'string' && isNextCursor(cursor, asked) && Array.isArray(values);
  if (isPage && values.every((value) => typeof value === 'string')) return [cursor, values];
  throw new UnexpectedReplyError();
}

export function isNextCursor(cursor: string, asked: string): boolean {
  return /^\d+$/.test(cursor) && (cursor === '0' || cursor !== asked);
}

function isInteger(value: unknown): value is number {
  return Number.isSafeInteger(value);
}
