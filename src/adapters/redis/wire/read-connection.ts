import { encodeCommands, type RespReply } from './codec.js';
import type { HostPort } from './node-address.js';
import { type Command, withDeadline } from './pipeline.js';
import type { RedisOptions } from './redis-options.js';
import { RespConnection } from './resp-connection.js';

/** A connection for large reads, such as a walk over a million entries. */
export class ReadConnection {
  readonly #connection: RespConnection;

  constructor(options: RedisOptions, node: HostPort) {
    this.#connection = new RespConnection(options, node);
  }

  get isLost(): boolean {
    return this.#connection.isLost;
  }

  async send(commands: readonly Command[], timeoutMs: number): Promise<RespReply[]> {
    if (commands.length === 0) return [];
    try {
      return await withDeadline(this.#write(commands), timeoutMs);
    } catch (error) {
      // A late reply would be taken for the answer to another command.
      this.#connection.lose(error as Error);
      throw error;
    }
  }

  close(): void {
    this.#connection.lose(new Error('The connection has been closed.'));
  }

  #write(commands: readonly Command[]): Promise<RespReply[]> {
    return new Promise((resolve, reject) => {
      const replies: RespReply[] = [];
      const take = (reply: RespReply) => {
        const [name, ...args] = commands[replies.length] ?? ['a command'];
        replies.push(reply instanceof Error ? Object.assign(reply, { command: { name, args } }) : reply);
        if (replies.length === commands.length) resolve(replies);
      };
      const sink = { take, fail: reject };
      this.#connection.write(
        encodeCommands(commands),
        commands.map(() => sink),
      );
    });
  }
}
