import type { Socket } from 'node:net';
import { performance } from 'node:perf_hooks';
import type { BulkStrings } from './bulk-strings.js';
import { encodeCommands, RespParser, type RespReply } from './codec.js';
import { dialRedis } from './dial.js';
import type { HostPort } from './node-address.js';
import type { Command } from './pipeline.js';
import type { RedisOptions } from './redis-options.js';

/** Waits for one reply. Both are called in the turn in which the bytes came: what comes behind has not been looked at yet. */
export interface ReplySink {
  take(reply: RespReply): void;
  /** The connection was lost before the reply was there. */
  fail(error: Error): void;
}

export interface RespConnectionOptions {
  /** Sent before all else, in RESP3; one that is refused ends the connection. */
  greeting?: readonly Command[];
  /** What the server says unasked (RESP3). */
  onPush?: (push: BulkStrings) => void;
  onLost?: (error: Error) => void;
}

/**
 * A connection of its own to one server. It opens with the first use, and is not opened again once it is lost.
 *
 * ioredis takes a reply apart at more than a microsecond for each string in it, and sends a command at several (ioredis
 * 6.0): of what goes through it in great numbers that was two thirds of the time.
 */
export class RespConnection {
  readonly #redis: RedisOptions;
  readonly #node: HostPort;
  readonly #options: RespConnectionOptions;
  #sinks: ReplySink[] = [];
  /** Those before it have had their replies. */
  #next = 0;
  #socket: Socket | null = null;
  readonly #closed = new AbortController();
  /** Text to send once the connection is open; null before the first use and after sending. */
  #unsent: string | null = null;
  #failure: Error | null = null;
  #heardAt = Number.NEGATIVE_INFINITY;

  constructor(redis: RedisOptions, node: HostPort, options: RespConnectionOptions = {}) {
    this.#redis = redis;
    this.#node = node;
    this.#options = options;
  }

  get isLost(): boolean {
    return this.#failure !== null;
  }

  /** When data last arrived, by performance.now(). */
  get heardAt(): number {
    return this.#heardAt;
  }

  /** Replies that are still to come. */
  get pending(): number {
    return this.#sinks.length - this.#next;
  }

  /** @param text commands as {@link encodeCommands} writes them, one for each of the sinks */
  write(text: string, sinks: readonly ReplySink[]): void {
    if (this.#failure !== null) {
      for (const sink of sinks) sink.fail(this.#failure);
      return;
    }
    if (this.#socket === null && this.#unsent === null) this.#open();
    this.#send(text, sinks);
  }

  /** Nothing is sent or taken any more. */
  lose(error: Error): void {
    if (this.#failure !== null) return;
    this.#failure = error;
    this.#closed.abort();
    this.#socket?.destroy();
    const unanswered = this.#sinks.slice(this.#next);
    this.#sinks = [];
    this.#next = 0;
    this.#options.onLost?.(error);
    for (const sink of unanswered) sink.fail(error);
  }

  #open(): void {
    this.#unsent = '';
    const { greeting } = this.#options;
    const first: Command[] = greeting === undefined ? [] : [['hello', 3], ...greeting];
    const accepted = { take: (reply: RespReply) => reply instanceof Error && this.lose(reply), fail() {} };
    this.#send(
      encodeCommands(first),
      first.map(() => accepted),
    );
    dialRedis(this.#redis, this.#node, this.#closed.signal).then(
      (socket) => this.#read(socket),
      (error) => this.lose(error),
    );
  }

  #read(socket: Socket): void {
    if (this.#failure !== null) {
      socket.destroy();
      return;
    }
    const parser = new RespParser((reply) => this.#take(reply), this.#options.onPush);
    socket.on('data', (chunk) => {
      this.#heardAt = performance.now();
      try {
        parser.push(chunk);
      } catch (error) {
        this.lose(error as Error);
      }
    });
    socket.on('error', (error) => this.lose(error));
    socket.on('close', () => this.lose(new Error('The connection was closed.')));
    socket.resume();
    this.#socket = socket;
    if (this.#unsent) socket.write(this.#unsent, 'latin1');
    this.#unsent = null;
    if (socket.destroyed) this.lose(new Error('The connection was closed.'));
  }

  #send(text: string, sinks: readonly ReplySink[]): void {
    if (sinks.length === 0) return;
    for (const sink of sinks) this.#sinks.push(sink);
    if (this.#socket === null) this.#unsent += text;
    else this.#socket.write(text, 'latin1');
  }

  #take(reply: RespReply): void {
    const sink = this.#sinks[this.#next];
    if (sink === undefined) return;
    this.#next += 1;
    if (this.#next === this.#sinks.length || this.#next >= FORGOTTEN_AT_ONCE) {
      this.#sinks = this.#sinks.slice(this.#next);
      this.#next = 0;
    }
    sink.take(reply);
  }
}

const FORGOTTEN_AT_ONCE = 4096;
