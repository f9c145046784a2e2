import { createRequire } from 'node:module';

interface Handler {
  redis: { commandQueue: { length: number } };
  shiftCommand(reply: unknown): unknown;
  returnFatalError(error: Error): void;
}

/** Makes ioredis drop a connection after an unsolicited null reply. ioredis 6.0 would end the process. */
export function surviveUnsolicitedNulls(): void {
  const handler: Handler = createRequire(import.meta.url)('ioredis/built/DataHandler.js').default.prototype;
  if (Object.hasOwn(handler, PATCHED)) return;
  const { shiftCommand } = handler;
  handler.shiftCommand = function shift(reply) {
    if (reply !== null || this.redis.commandQueue.length > 0) return shiftCommand.call(this, reply);
    this.returnFatalError(new Error('The server sent a reply that no command asked for'));
    return null;
  };
  Object.defineProperty(handler, PATCHED, { value: true });
}

const PATCHED = Symbol.for('jwtctl.survivesUnsolicitedNulls');
