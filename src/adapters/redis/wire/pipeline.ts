import { type Redis, Command as RedisCommand } from 'ioredis';
import { DeadlineError } from './redis-errors.js';

export type Command = readonly [name: string, ...args: Array<string | number>];

/** An Error stands for an error reply. */
export type Reply = unknown;

const AS_TEXT = { replyEncoding: 'utf8' } as const;

/** Encodes itself as one flat string. ioredis joins some hundred short ones for each script (ioredis 6.0). */
class FlatCommand extends RedisCommand {
  override toWritable(): string {
    const parts = [`*${this.args.length + 1}`, `$${this.name.length}`, this.name];
    for (const arg of this.args as string[]) parts.push(`$${Buffer.byteLength(arg)}`, arg);
    parts.push('');
    return parts.join('\r\n');
  }
}

/** Throws DeadlineError on timeout; some commands may have been executed. */
export async function sendPipeline(
  client: Redis,
  commands: readonly Command[],
  timeoutMs: number,
): Promise<Reply[]> {
  const pipeline = client.pipeline();
  // Missing in ioredis's types, but public: every method of a pipeline ends here (ioredis 6.0).
  const queue = pipeline as unknown as { sendCommand(command: RedisCommand): void };
  for (const [name, ...args] of commands) queue.sendCommand(new FlatCommand(name, args, AS_TEXT));
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
