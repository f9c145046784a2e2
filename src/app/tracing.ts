import type { IncomingHttpHeaders } from 'node:http';
import type { RecordCall } from '../domain/ports/index.js';
import { JwtctlError } from '../domain/shared/errors.js';

/** Spans of OpenTelemetry. */
export interface Tracing {
  /** Adds a span for a call to a store, if the caller is in a span that is recorded. */
  recordCall: RecordCall;
  /**
   * Makes each call of the method a span with this name.
   * @param codeOf returns the attribute `jwtctl.code` of a result
   */
  trace<Method extends string, Result>(
    target: Record<NoInfer<Method>, (...args: never[]) => Promise<Result>>,
    method: Method,
    name: string,
    codeOf?: (result: Result) => string,
  ): void;
  /** Continues the trace of the request's `traceparent`, unless a span is active. */
  continueTrace(headers: IncomingHttpHeaders, run: () => void): void;
}

/** Where `@opentelemetry/api` keeps what the program has registered, shared by all copies of its version 1. */
const REGISTERED = Symbol.for('opentelemetry.js.api.1');

/** Returns null, and loads nothing, unless the program has registered a tracer provider. */
export async function openTracing(): Promise<Tracing | null> {
  const registered = (globalThis as { [REGISTERED]?: { trace?: unknown } })[REGISTERED];
  if (registered?.trace === undefined) return null;
  const { context, propagation, SpanKind, SpanStatusCode, trace } = await import('@opentelemetry/api');
  const tracer = trace.getTracer('jwtctl');
  const failed = { code: SpanStatusCode.ERROR };
  return {
    recordCall: ({ system, operation, collection, durationMs, error }) => {
      // A background read has no span. Its parent may be a span that has ended.
      if (trace.getActiveSpan()?.isRecording() !== true) return;
      const end = Date.now();
      const span = tracer.startSpan(collection === undefined ? operation : `${operation} ${collection}`, {
        kind: SpanKind.CLIENT,
        startTime: end - durationMs,
        attributes: {
          'db.system.name': system,
          'db.operation.name': operation,
          'db.collection.name': collection,
          'error.type': error === undefined ? undefined : typeOf(error),
        },
      });
      if (error !== undefined) span.setStatus(failed);
      span.end(end);
    },
    trace: (target, method, name, codeOf) => {
      const call = target[method].bind(target);
      target[method] = (...args: never[]) =>
        tracer.startActiveSpan(name, async (span) => {
          try {
            const result = await call(...args);
            if (codeOf !== undefined) span.setAttribute('jwtctl.code', codeOf(result));
            return result;
          } catch (error) {
            // Without the message, which may quote the request.
            span.setAttribute('error.type', typeOf(error)).setStatus(failed);
            throw error;
          } finally {
            span.end();
          }
        });
    },
    continueTrace: (headers, run) => {
      const active = context.active();
      const isTraced = trace.getSpan(active) !== undefined;
      context.with(isTraced ? active : propagation.extract(active, headers), run);
    },
  };
}

function typeOf(error: unknown): string {
  if (error instanceof JwtctlError) return error.code;
  return error instanceof Error ? error.name : typeof error;
}
