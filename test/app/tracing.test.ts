import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { context, propagation, SpanKind, SpanStatusCode, trace } from '@opentelemetry/api';
import { AsyncLocalStorageContextManager } from '@opentelemetry/context-async-hooks';
import {
  BasicTracerProvider,
  InMemorySpanExporter,
  type ReadableSpan,
  SimpleSpanProcessor,
} from '@opentelemetry/sdk-trace-base';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { openTracing } from '../../src/app/tracing.js';
import { cli } from '../support/cli.js';
import { openContext } from '../support/opened-context.js';
import { basic, bearer, CLIENT, servingsOver } from '../support/serving.js';
import { spawnProgram } from '../support/spawned.js';
import { BACKENDS, openStores, type Stores } from '../support/stores.js';

const DIST = new URL('../../dist/index.js', import.meta.url).href;
const HOOK = fileURLToPath(new URL('../support/log-imports.mjs', import.meta.url));

test('nothing is loaded unless the program has registered a tracer provider', async () => {
  expect(await openTracing()).toBeNull();
  const shell = cli();
  await shell.json('keys', 'generate');
  await shell.json('users', 'add', 'alice');
  const log = join(shell.home, 'imports.log');
  const program = `import { openIssuer, openVerifier } from ${JSON.stringify(DIST)};
    const [issuer, verifier] = [await openIssuer(), await openVerifier()];
    const { token } = await issuer.issue({ sub: 'alice' });
    console.log((await verifier.verify(token)).active);
    await Promise.all([issuer.close(), verifier.close()]);`;
  const words = ['--import', HOOK, '--input-type=module', '-e', program];
  const env = { ...shell.env, IMPORT_LOG: log };
  const { stdout, stderr } = await spawnProgram(process.execPath, words, { env });
  expect({ stdout, stderr }).toEqual({ stdout: 'true\n', stderr: '' });
  expect(readFileSync(log, 'utf8')).toContain('node_modules/libsql/');
  expect(readFileSync(log, 'utf8')).not.toContain('@opentelemetry');
});

describe.each(BACKENDS)('traces, on %s,', (backend) => {
  const exporter = new InMemorySpanExporter();
  const provider = new BasicTracerProvider({ spanProcessors: [new SimpleSpanProcessor(exporter)] });
  let stores: Stores;
  beforeAll(async () => {
    stores = await openStores(backend);
    await stores.json('keys', 'generate');
    await stores.json('users', 'add', 'alice');
    trace.setGlobalTracerProvider(provider);
    context.setGlobalContextManager(new AsyncLocalStorageContextManager());
    propagation.setGlobalPropagator({
      inject() {},
      fields: () => ['traceparent'],
      extract: (current, carrier, getter) => {
        const [, traceId, spanId] = String(getter.get(carrier, 'traceparent') ?? '').split('-');
        if (traceId === undefined || spanId === undefined) return current;
        return trace.setSpanContext(current, { traceId, spanId, traceFlags: 1, isRemote: true });
      },
    });
  });
  afterEach(() => exporter.reset());
  afterAll(async () => {
    for (const api of [trace, context, propagation]) api.disable();
    await stores?.close();
  });

  const serving = servingsOver(() => stores);
  const spans = () => exporter.getFinishedSpans();
  const only = (name: string): ReadableSpan => {
    const [span, ...others] = spans().filter((one) => one.name === name);
    expect({ name, found: span !== undefined, others: others.length }).toEqual({
      name,
      found: true,
      others: 0,
    });
    return span as ReadableSpan;
  };
  const childrenOf = (parent: ReadableSpan) => {
    const { spanId } = parent.spanContext();
    return spans().filter(({ parentSpanContext }) => parentSpanContext?.spanId === spanId);
  };

  test('a verification and an issued token are spans with the calls to the stores', async () => {
    const { app } = await serving();
    const headers = { ...basic(CLIENT), traceparent: `00-${'a'.repeat(32)}-${'b'.repeat(16)}-01` };
    const issue = { method: 'POST', url: '/v1/tokens', headers, payload: { sub: 'alice' } } as const;
    const { token } = (await app.inject(issue)).json();
    const issued = only('jwtctl.issue');
    expect(issued.spanContext().traceId).toBe('a'.repeat(32));
    expect(issued.parentSpanContext?.spanId).toBe('b'.repeat(16));
    const registered = childrenOf(issued).map(({ name }) => name);
    expect(registered).toContain('SELECT users');
    expect(registered).toContain(stores.isCluster ? 'EVALSHA' : 'INSERT registry_entries');

    exporter.reset();
    expect((await app.inject({ url: '/verify', headers: bearer(token) })).statusCode).toBe(200);
    const verified = only('jwtctl.verify');
    expect(verified).toMatchObject({ kind: SpanKind.INTERNAL, attributes: { 'jwtctl.code': 'active' } });
    const [system, operation] = stores.isCluster ? ['redis', 'ZMSCORE'] : ['sqlite', 'SELECT'];
    const read = childrenOf(verified).find(({ name }) => name.startsWith(String(operation)));
    expect(read).toMatchObject({
      kind: SpanKind.CLIENT,
      attributes: { 'db.system.name': system, 'db.operation.name': operation },
    });
    expect(read?.duration[0]).toBe(0);

    exporter.reset();
    await app.inject({ url: '/verify', headers: bearer('forged') });
    expect(only('jwtctl.verify').attributes).toEqual({ 'jwtctl.code': 'ERR_TOKEN_MALFORMED' });
    const everything = JSON.stringify(
      spans().map(({ name, attributes, events }) => [name, attributes, events]),
    );
    expect(everything).not.toMatch(/alice|forged|eyJ/);
  });

  test('a failure marks its span, without the message', async () => {
    const { app } = await serving();
    const headers = basic(CLIENT);
    await app.inject({ method: 'POST', url: '/v1/tokens', headers, payload: { sub: 'eve' } });
    const { status, attributes } = only('jwtctl.issue');
    expect(status).toEqual({ code: SpanStatusCode.ERROR });
    expect(attributes).toEqual({ 'error.type': 'ERR_USER_UNKNOWN' });
  });

  test('background reads are no spans', async () => {
    const opened = await openContext(stores);
    const tracing = await opened.tracing();
    await (await opened.database()).keys.snapshot();
    expect(spans()).toEqual([]);
    const span = trace.getTracer('test').startSpan('over');
    await context.with(trace.setSpan(context.active(), span), async () => {
      await (await opened.database()).keys.snapshot();
      span.end();
      await (await opened.database()).keys.snapshot();
    });
    const reads = spans().filter(({ name }) => name.startsWith('SELECT keystore'));
    expect(reads.length).toBeGreaterThan(0);
    expect(reads.every(({ startTime, endTime }) => startTime <= endTime)).toBe(true);
    const before = spans().length;
    tracing?.recordCall({ system: 'redis', operation: 'GET', durationMs: 1 });
    expect(spans()).toHaveLength(before);
    await opened.dispose();
  });
});
