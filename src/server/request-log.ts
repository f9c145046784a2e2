import type { FastifyRequest } from 'fastify';
import { type DestinationStream, destination, type Logger, pino, stdTimeFunctions } from 'pino';
import { JwtctlError } from '../domain/shared/errors.js';

export type LogLevel = 'debug' | 'info' | 'warn' | 'error';

/** Turns a line of JSON into what is written instead. */
export type FormatLine = (json: string) => string;

export function openLog(level: LogLevel, stream: DestinationStream = standardError()): Logger {
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

/**
 * One write per line, which a pipe takes whole, so lines of several processes do not mix. If the reader falls
 * behind, lines are dropped, to save memory and not delay requests.
 */
export function standardError(format?: FormatLine): DestinationStream {
  const stream = destination({ dest: 2, sync: false, maxWrite: 4096, maxLength: 1_048_576 });
  return format === undefined
    ? stream
    : {
        write: (json) => void stream.write(format(json)),
        ...{ flush: (done: (error?: Error) => void) => stream.flush(done) },
      };
}

export function flushed(log: Logger): Promise<void> {
  return new Promise((resolve) => log.flush(() => resolve()));
}

export interface RequestOutcome {
  status: number;
  code: string;
  /** From `performance.now()`. */
  startedAt?: number;
  /** The member of the request that must change. */
  field?: string | undefined;
  /** An error, or text without unsafe parts of the request. */
  reason?: unknown;
}

/** Acceptances are logged at debug, because writing a line costs as much as a verification. */
export type RequestLog = (request: FastifyRequest, outcome: RequestOutcome) => void;

export function requestLog(log: Logger): RequestLog {
  return (request, { status, code, startedAt, field, reason }) => {
    const level = status >= 500 ? 'error' : code === 'active' ? 'debug' : 'info';
    if (!log.isLevelEnabled(level)) return;
    log[level](
      {
        requestId: request.id,
        client: request.client?.id,
        method: request.method,
        // The route, because the URL may contain a token.
        route: request.routeOptions.url ?? null,
        status,
        code,
        // The client may have chosen the name of an unknown member.
        field: /^[A-Za-z_]{1,32}$/.test(field ?? '') ? field : undefined,
        durationMs:
          startedAt === undefined ? undefined : roundedToMicroseconds(performance.now() - startedAt),
        ...(isForeign(reason) ? { error: reason.name, at: framesOf(reason) } : {}),
      },
      messageOf(reason),
    );
  };
}

function roundedToMicroseconds(ms: number): number {
  return Math.round(ms * 1000) / 1000;
}

/** The message of a foreign error may quote anything, so only its name and frames are logged. */
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
