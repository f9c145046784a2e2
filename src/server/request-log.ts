import { randomBytes } from 'node:crypto';
import type { FastifyRequest } from 'fastify';
import { type DestinationStream, destination, type Logger, pino, stdTimeFunctions } from 'pino';
import { JwtctlError } from '../domain/shared/errors.js';

export type LogLevel = 'debug' | 'info' | 'warn' | 'error';

/**
 * JSON lines on stderr, or where a test wants them. A line is written whole, also where several processes write: a pipe
 * takes 4,096 bytes at once. A reader that falls behind costs lines, not memory and not the requests.
 */
export function openLog(
  level: LogLevel,
  stream: DestinationStream = destination({ dest: 2, sync: false, maxWrite: 4096, maxLength: 1_048_576 }),
): Logger {
  return pino(
    {
      level,
      base: { pid: process.pid },
      timestamp: stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
    },
    stream,
  );
}

/** Resolves when what was logged is written. */
export function flushed(log: Logger): Promise<void> {
  return new Promise((resolve) => log.flush(() => resolve()));
}

export interface RequestOutcome {
  status: number;
  /** Why; `active` for a token that holds. */
  code: string;
  /** Of `performance.now()`. */
  startedAt?: number;
  /** An error, or a text that holds nothing of the request but what is safe to print. */
  reason?: unknown;
}

/**
 * Logs how a request was answered: what fails at error, what is refused at info, what is accepted at debug, for a line
 * costs as much as a verification.
 */
export type RequestLog = (request: FastifyRequest, outcome: RequestOutcome) => void;

export function requestLog(log: Logger): RequestLog {
  const made = `${randomBytes(6).toString('base64url')}-`;
  let count = 0;
  return (request, { status, code, startedAt, reason }) => {
    const level = status >= 500 ? 'error' : code === 'active' ? 'debug' : 'info';
    if (!log.isLevelEnabled(level)) return;
    const given = request.headers['x-request-id'];
    log[level](
      {
        requestId: isRequestId(given) ? given : `${made}${(++count).toString(36)}`,
        method: request.method,
        // The route and not the URL: that may hold anything, a token too.
        route: request.routeOptions.url ?? null,
        status,
        code,
        ...(startedAt === undefined
          ? {}
          : { durationMs: roundedToMicroseconds(performance.now() - startedAt) }),
        ...(isForeign(reason) ? { error: reason.name, at: framesOf(reason) } : {}),
      },
      messageOf(reason),
    );
  };
}

function roundedToMicroseconds(ms: number): number {
  return Math.round(ms * 1000) / 1000;
}

function isRequestId(value: unknown): value is string {
  return typeof value === 'string' && /^[\w.:=+/@-]{1,128}$/.test(value);
}

/** What such an error says may quote anything: it is told by its name, and where it happened. */
function isForeign(reason: unknown): reason is Error {
  return reason instanceof Error && !(reason instanceof JwtctlError);
}

function messageOf(reason: unknown): string | undefined {
  if (reason === undefined || isForeign(reason)) return undefined;
  return reason instanceof JwtctlError ? reason.message : String(reason);
}

function framesOf({ stack = '' }: Error): string[] {
  const frames = stack.split('\n').filter((line) => /^ +at /.test(line));
  return frames.slice(0, 8).map((line) => line.trim());
}
