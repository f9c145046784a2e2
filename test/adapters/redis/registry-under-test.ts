import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import {
  openRedisTokenRegistry,
  type RedisTokenRegistryOptions,
} from '../../../src/adapters/redis/token-registry.js';
import type { RegistryEntry, ScannedSubject, TokenRegistry } from '../../../src/domain/ports/index.js';
import type { Credentials } from '../../../src/domain/shared/credentials.js';
import { registerOne } from '../../support/registering.js';
import { freshPrefix } from '../../support/servers.js';

export const CLOCK_TOLERANCE_SECONDS = 5;

type OptionsUnderTest = Partial<RedisTokenRegistryOptions> & Credentials;

export function openRegistry(
  nodes: readonly string[],
  { password, tls, ...options }: OptionsUnderTest = {},
): ReturnType<typeof openRedisTokenRegistry> & { prefix: string } {
  const prefix = options.prefix ?? freshPrefix();
  const opened = openRedisTokenRegistry({
    nodes: nodes.map(parseNode),
    mode: 'cluster',
    clockToleranceSeconds: CLOCK_TOLERANCE_SECONDS,
    timeoutMs: 5000,
    credentials: async () => ({ password, tls }),
    isTls: tls !== undefined,
    ...options,
    prefix,
  });
  return { ...opened, prefix };
}

export function parseNode(node: string): { host: string; port: number } {
  const [host = '', port] = node.split(':');
  return { host, port: Number(port) };
}

/** Redis expires keys by its own clock, so these tests use the real time. */
export function realNow(): number {
  return Math.floor(Date.now() / 1000);
}

export function entryAt(now: number, jti: string, parts: Partial<RegistryEntry> = {}): RegistryEntry {
  return { jti, keyId: 1, iat: now - 10, exp: now + 3600, ...parts };
}

export function crowd(count: number): string[] {
  return Array.from({ length: count }, (_, index) => `user-${index}`);
}

export async function scanAll(registry: TokenRegistry, now = realNow()) {
  const subjects: ScannedSubject[] = [];
  const outcome = await registry.scan((portion) => void subjects.push(...portion), { now });
  return { ...outcome, subjects };
}

export const ATTEMPT_TIMEOUT_MS = 1000;

/** Runs a few operations. Returns kind and code of each error, `none` for success. */
export async function attempt(
  nodes: string[],
  options: OptionsUnderTest,
): Promise<{ codes: string[]; elapsedMs: number; text: string }> {
  const { registry, close } = openRegistry(nodes, { timeoutMs: ATTEMPT_TIMEOUT_MS, ...options });
  const now = realNow();
  const started = performance.now();
  const outcomes = await Promise.allSettled([
    registry.tokenStatus('alice', entryAt(now, 'a'), now),
    registerOne(registry, 'alice', entryAt(now, 'a'), { now }),
    registry.scan(() => {}, { now }),
    registry.nodes(),
  ]);
  const elapsedMs = performance.now() - started;
  await close();
  const errors = outcomes.map((outcome) => (outcome.status === 'rejected' ? outcome.reason : null));
  const codes = [
    ...new Set(errors.map((error) => (error === null ? 'none' : `${error.kind} ${error.code}`))),
  ];
  const text = errors
    .map((error) => `${error?.message} ${error?.hint} ${JSON.stringify(error?.details)}`)
    .join('\n');
  return { codes, elapsedMs, text };
}

/** Runs redis-cli against one node, without following redirects. Rejects on an error reply. */
export async function redisCli(node: string, ...words: Array<string | number>): Promise<string> {
  const { host, port } = parseNode(node);
  const args = ['-e', '-h', host, '-p', String(port), ...words.map(String)];
  const { stdout } = await promisify(execFile)('redis-cli', args, { timeout: 10_000 });
  return stdout.replace(/\n$/, '');
}

/** Like {@link redisCli}, but follows redirects. */
export async function redisCliFollowing(node: string, ...words: Array<string | number>): Promise<string> {
  const { host, port } = parseNode(node);
  const args = ['-c', '-e', '-h', host, '-p', String(port), ...words.map(String)];
  const { stdout } = await promisify(execFile)('redis-cli', args, { timeout: 10_000 });
  return stdout.replace(/^-> Redirected.*\n/, '').replace(/\n$/, '');
}
