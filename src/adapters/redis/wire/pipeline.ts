import type { Redis } from 'ioredis';
import { DeadlineError } from './redis-errors.js';

export type Command = readonly [name: string, ...args: Array<string | number>];

/** An Error stands for an error reply. */
export type Reply = unknown;

/** Throws DeadlineError on timeout; some commands may have been executed. */
export async function sendPipeline(
  client: Redis,
  commands: readonly Command[],
  timeoutMs: number,
): Promise<Reply[]> {
  const pipeline = client.pipeline();
  for (const [name, ...args] of commands) pipeline.call(name, ...args);
  const results = (await withDeadline(pipeline.exec(), timeoutMs)) ?? [];
  return results.map(([error, value]) => error ?? value);
}

export function unwrap(reply: Reply): unknown {
  if (reply instanceof Error) throw reply;
  return reply;
}

/** One timer per pipeline costs less than ioredis's timeout per command. */
export function withDeadline<T>(work: Promise<T>, timeoutMs: number): Promise<T> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new DeadlineError(timeoutMs)), timeoutMs);
    work.then(resolve, reject).finally(() => clearTimeout(timer));
  });
}
