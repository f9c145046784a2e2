import type { Socket } from 'node:net';
import { performance } from 'node:perf_hooks';
import type { BulkStrings } from './bulk-strings.js';
import { encodeCommands, RespParser, type RespReply } from './codec.js';
import { dialRedis } from './dial.js';
import type { HostPort } from './node-address.js';
import type { Command } from './pipeline.js';
import { UnexpectedReplyError } from './redis-errors.js';
import type { RedisOptions } from './redis-options.js';

/** Receives one reply, synchronously: replies after it have not been parsed yet. */
export interface ReplySink {
  take(reply: RespReply): void;
  fail(error: Error): void;
}

export interface RespConnectionOptions {
  /** Sent first, in RESP3. An error reply to it ends the connection. */
  greeting?: readonly Command[];
  onPush?: (push: BulkStrings) => void;
  onLost?: (error: Error) => void;
}

/** Opens on first use, never again. ioredis 6.0 is slower: it takes over 1 µs per string of a reply. */
export class RespConnection {
  readonly #redis: RedisOptions;
  readonly #node: HostPort;
  readonly #options: RespConnectionOptions;
  #sinks: ReplySink[] = [];
  #next = 0;
  #socket: Socket | null = null;
  readonly #closed = new AbortController();
  /** Null before the first use and after sending. */
  #unsent: string | null = null;
  #failure: Error | null = null;
  #lastDataAt = Number.NEGATIVE_INFINITY;

  constructor(redis: RedisOptions, node: HostPort, options: RespConnectionOptions = {}) {
    this.#redis = redis;
    this.#node = node;
    this.#options = options;
  }

  get isLost(): boolean {
    return this.#failure !== null;
  }

  get lastDataAt(): number {
    return this.#lastDataAt;
  }

  get pending(): number {
    return this.#sinks.length - this.#next;
  }

  write(text: string, sinks: readonly ReplySink[]): void {
    if (this.#failure !== null) {
      for (const sink of sinks) sink.fail(this.#failure);
      return;
    }
    if (this.#socket === null && this.#unsent === null) this.#open();
    this.#send(text, sinks);
  }

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
      this.#lastDataAt = performance.now();
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
    if (sink === undefined) {
      this.lose(new UnexpectedReplyError());
      return;
    }
    this.#next += 1;
    if (this.#next === this.#sinks.length || this.#next >= MOST_ANSWERED_SINKS) {
      this.#sinks = this.#sinks.slice(this.#next);
      this.#next = 0;
    }
    sink.take(reply);
  }
}

const MOST_ANSWERED_SINKS = 4096;
