import type { Socket } from 'node:net';
import DataHandler from 'ioredis/built/DataHandler.js';
import { MOST_BYTES_OF_REPLY } from './codec.js';
import { UnexpectedReplyError } from './redis-errors.js';

interface Handler {
  redis: { commandQueue: { length: number }; stream: Socket };
  shiftCommand(reply: unknown): unknown;
  returnFatalError(error: Error): void;
}

/**
 * Makes ioredis drop a connection after a reply that no command asked for, or that it cannot parse. ioredis 6.0 would
 * end the process after an unsolicited null, and report some of the others as errors of the calling code.
 */
export function surviveBrokenReplies(): void {
  const handler = dataHandler().prototype;
  if (Object.hasOwn(handler, PATCHED)) return;
  const { shiftCommand, returnFatalError } = handler;
  handler.returnFatalError = function fail(cause) {
    returnFatalError.call(this, new UnexpectedReplyError({ cause }));
  };
  handler.shiftCommand = function shift(reply) {
    const { stream } = this.redis;
    bytesAtReply.set(stream, stream.bytesRead);
    if (this.redis.commandQueue.length > 0) return shiftCommand.call(this, reply);
    this.returnFatalError(new Error('The server sent a reply that no command asked for.'));
    return null;
  };
  Object.defineProperty(handler, PATCHED, { value: true });
}

/** Node takes the whole module for its default export, and Vite its `default`. */
function dataHandler(): { prototype: Handler } {
  const exported: unknown = DataHandler;
  const module = exported as { prototype: Handler } | { default: { prototype: Handler } };
  return 'default' in module ? module.default : module;
}

/** How many bytes each connection had received at the end of its last reply. */
const bytesAtReply = new WeakMap<Socket, number>();

/** Ends a connection of ioredis with an endless reply, which ioredis 6.0 would keep in memory. */
export function limitReplies(socket: Socket): void {
  // Unlike `on`, this does not start the flow of data.
  socket.prependListener('data', () => {
    const unfinished = socket.bytesRead - (bytesAtReply.get(socket) ?? 0);
    if (unfinished > MOST_BYTES_OF_REPLY) socket.destroy(new UnexpectedReplyError());
  });
}

const PATCHED = Symbol.for('jwtctl.survivesBrokenReplies');
