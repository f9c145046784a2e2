import { STATUS_CODES } from 'node:http';
import type { Socket } from 'node:net';
import type { Logger } from 'pino';
import type { Metrics } from './metrics.js';

/** What the HTTP parser of Node.js refuses, before there is a request. */
export type ClientErrorHandler = (error: NodeJS.ErrnoException, socket: Socket) => void;

/** Answers, logs, and counts a request that is not HTTP, too slow, or whose headers are longer than 16 KB. */
export function clientErrors(
  log: Pick<Logger, 'info'>,
  metrics: Pick<Metrics, 'unreadable'>,
): ClientErrorHandler {
  return (error, socket) => {
    // The client has gone.
    if (error.code === 'ECONNRESET' || socket.destroyed) return;
    const status = STATUSES[error.code ?? ''] ?? 400;
    metrics.unreadable(status);
    // Neither the message nor the bytes, which may contain a token.
    log.info({ status, code: 'ERR_HTTP_UNREADABLE', parser: error.code }, MESSAGES[status]);
    if (socket.writable) socket.write(answerOf(status));
    socket.destroy();
  };
}

const STATUSES: Readonly<Record<string, number>> = {
  HPE_HEADER_OVERFLOW: 431,
  ERR_HTTP_REQUEST_TIMEOUT: 408,
};

const MESSAGES: Readonly<Record<number, string>> = {
  400: 'A request was not HTTP/1.1.',
  408: 'A request did not arrive in time.',
  431: 'The headers of a request were longer than 16 KB.',
};

function answerOf(status: number): string {
  const phrase = STATUS_CODES[status] ?? '';
  const body = JSON.stringify({ error: phrase, code: 'ERR_HTTP_UNREADABLE' });
  const head = [
    `HTTP/1.1 ${status} ${phrase}`,
    'Connection: close',
    'Cache-Control: no-store',
    'Content-Type: application/json; charset=utf-8',
    `Content-Length: ${Buffer.byteLength(body)}`,
  ];
  return `${head.join('\r\n')}\r\n\r\n${body}`;
}
