import { setTimeout as delay } from 'node:timers/promises';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { StatusReader, TokenRegistry } from '../../../src/domain/ports/index.js';
import { registerOne } from '../../support/registering.js';
import { startRedisCluster } from '../../support/servers.js';
import { crowd, entryAt, openRegistry, realNow, redisCli } from './registry-under-test.js';

const TIMEOUT_MS = 2000;
/** The longest time for a request that does not wait for the hung master, on a busy machine. */
const AT_ONCE_MS = 400;

let closers: Array<() => unknown>;
let nodes: string[];
let registry: TokenRegistry;
let now: number;
const subs = crowd(30);

beforeEach(async () => {
  closers = [];
  // No failover: the master keeps its slots.
  const cluster = await startRedisCluster({ nodeTimeoutMs: 60_000 });
  closers.push(cluster.stop);
  nodes = cluster.nodes.map(({ node }) => node);
  const opened = openRegistry(nodes, { timeoutMs: TIMEOUT_MS });
  closers.push(opened.close);
  registry = opened.registry;
  now = realNow();
  for (const sub of subs) await registerOne(registry, sub, entryAt(now, 'a'), { now });
}, 60_000);
afterEach(async () => {
  for (const close of closers.reverse()) await close();
});

/** Stops a master: it keeps its connections and does not answer. */
async function hang(): Promise<{ master: string; resume: () => void }> {
  const master = nodes[1] as string;
  const pid = Number(/process_id:(\d+)/.exec(await redisCli(master, 'INFO', 'server'))?.[1]);
  process.kill(pid, 'SIGSTOP');
  const resume = () => process.kill(pid, 'SIGCONT');
  closers.push(resume);
  return { master, resume };
}

interface Asked {
  atMs: number;
  tookMs: number;
  /** Null for an answered request. */
  error: { code: string; message: string } | null;
}

/** Asks about one subject after another, every 10 ms, and waits for all answers. */
async function askFor(ms: number, ask: (sub: string) => Promise<unknown>): Promise<Asked[]> {
  const began = performance.now();
  const asked: Array<Promise<Asked>> = [];
  for (let index = 0; performance.now() - began < ms; index++) {
    const atMs = performance.now() - began;
    asked.push(
      ask(subs[index % subs.length] as string).then(
        () => ({ atMs, tookMs: performance.now() - began - atMs, error: null }),
        (error) => ({ atMs, tookMs: performance.now() - began - atMs, error }),
      ),
    );
    await delay(10);
  }
  return Promise.all(asked);
}

function expectOneTimeout(asked: readonly Asked[], master: string) {
  const failed = asked.filter(({ error }) => error !== null);
  const answered = asked.filter(({ error }) => error === null);
  expect(failed.length).toBeGreaterThan(100);
  expect(answered.length).toBeGreaterThan(failed.length);
  expect(answered.filter(({ tookMs }) => tookMs > AT_ONCE_MS)).toEqual([]);
  const waited = failed.filter(({ tookMs }) => tookMs > AT_ONCE_MS);
  expect(waited.filter(({ atMs, tookMs }) => atMs + tookMs > TIMEOUT_MS + AT_ONCE_MS)).toEqual([]);
  for (const { error } of failed) {
    expect(error?.message).toContain(master);
    for (const other of nodes) if (other !== master) expect(error?.message).not.toContain(other);
  }
}

test('a hung master costs its requests one timeout, and the error names it', async () => {
  const statusReader: StatusReader = registry.openStatusReader({ nearCache: false, now: realNow });
  closers.push(() => statusReader.close());
  await statusReader.open();
  const read = (sub: string) => statusReader.of(sub, entryAt(now, 'a')).read();
  const { master, resume } = await hang();
  expectOneTimeout(await askFor(5 * TIMEOUT_MS, read), master);

  resume();
  const all = () => Promise.all(subs.map(read)).then((found) => found.every(({ exp }) => exp !== null));
  await expect.poll(() => all().catch(() => false), { timeout: 10_000 }).toBe(true);
}, 60_000);

test('a hung master costs registrations one timeout, and the error names it', async () => {
  const register = (sub: string) => registerOne(registry, sub, entryAt(now, 'b'), { now });
  await Promise.all(subs.map(register));
  const { master, resume } = await hang();
  expectOneTimeout(await askFor(5 * TIMEOUT_MS, register), master);

  resume();
  const all = () => Promise.all(subs.map(register)).then(() => true);
  await expect.poll(() => all().catch(() => false), { timeout: 10_000 }).toBe(true);
}, 60_000);

test('a master that resumes does not carry out registrations that have been reported as failed', async () => {
  const { master, resume } = await hang();
  const capped = (sub: string) =>
    registerOne(registry, sub, entryAt(now, 'b', { iat: now }), { now, maxPerSubject: 1 });
  const outcomes = await Promise.allSettled(subs.map(capped));
  const failed = subs.filter((_, index) => outcomes[index]?.status === 'rejected');
  expect(failed.length).toBeGreaterThan(3);
  resume();
  // Once it answers a new connection twice, it has read what came on the others.
  for (let round = 0; round < 2; round++) await redisCli(master, 'PING');

  const left = async () =>
    new Set((await Promise.all(failed.map((sub) => registry.list(sub, now)))).flat().map(({ jti }) => jti));
  await expect.poll(() => left().catch(() => null), { timeout: 10_000 }).toEqual(new Set(['a']));
}, 60_000);

test('a hung master that a registration finds first counts as down for verification too', async () => {
  let at = realNow();
  const statusReader: StatusReader = registry.openStatusReader({ nearCache: false, now: () => at });
  closers.push(() => statusReader.close());
  await statusReader.open();
  const { master } = await hang();
  const outcomes = await Promise.allSettled(
    subs.map((sub) => registerOne(registry, sub, entryAt(now, 'b'), { now })),
  );
  expect(outcomes.some(({ status }) => status === 'rejected')).toBe(true);

  at += 10;
  const probed = async () => {
    statusReader.probe();
    const states = statusReader.masters();
    return states.filter(({ code }) => code !== null).map(({ node, since }) => ({ node, since }));
  };
  await expect.poll(probed, { timeout: 3000 }).toEqual([{ node: master, since: at }]);
}, 60_000);
