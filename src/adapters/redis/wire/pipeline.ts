import type { Redis } from 'ioredis';
import { DeadlineError } from './errors.js';

/** A command's name and its arguments. */
export type Command = readonly [name: string, ...args: Array<string | number>];

/** What came back: a value, or the error in its place. */
export type Reply = unknown;

/**
 * Sends the commands to one server in one write and resolves with a reply for each, errors in their places.
 *
 * @throws DeadlineError where not all have been answered in time; some may have been carried out
 */
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

/** The value of a reply. @throws the error in its place */
export function unwrap(reply: Reply): unknown {
  if (reply instanceof Error) throw reply;
  return reply;
}

/** ioredis has time-outs for each command; one timer for many commands costs less. */
export function withDeadline<T>(work: Promise<T>, timeoutMs: number): Promise<T> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new DeadlineError(timeoutMs)), timeoutMs);
    work.then(resolve, reject).finally(() => clearTimeout(timer));
  });
}
