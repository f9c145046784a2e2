import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type FailingCluster, startFailingCluster } from '../support/failing-over.js';
import { startProgram } from '../support/load.js';
import { parseNdjson } from '../support/ndjson.js';
import { openStores, type Stores } from '../support/stores.js';

/** `docs/library.md`, "Near cache": how long a verdict may outlive a revocation, even during a failover. */
const BOUND_MS = 2000;
const PROCESSES = 4;
const USERS = 120;
const TOKENS_PER_USER = 2;

interface Report {
  verifications: number;
  unavailable: Record<string, number>;
  other: string[];
  nearCache: { hits: number; misses: number };
  tokens: Record<string, { lastAccepted: number | null; firstRefused: number | null; code: string | null }>;
}

interface IssuedToken {
  token: string;
  sub: string;
  jti: string;
}

let cluster: FailingCluster;
let stores: Stores;

beforeAll(async () => {
  cluster = await startFailingCluster();
  stores = await openStores('MariaDB and a Redis Cluster', {
    JWTCTL_REDIS_NODES: cluster.nodes.join(','),
    JWTCTL_TIMEOUT: '3s',
  });
  await stores.json('keys', 'generate');
}, 60_000);
afterAll(async () => {
  await stores?.close();
  await cluster?.stop();
});

/** When the revocation of a token began, and when it was reported done; null if it was not. */
const revocations = new Map<string, { began: number; done: number | null }>();

async function revoke(tokens: readonly IssuedToken[], ...words: string[]): Promise<void> {
  const began = Date.now();
  for (const { token } of tokens) revocations.set(token, { began, done: null });
  const { exitCode } = await stores.run(...words);
  // 4 or 5: recorded, but a master was unreachable. The next run updates it.
  if (exitCode === 4 || exitCode === 5) return;
  expect(exitCode).toBe(0);
  for (const { token } of tokens) revocations.set(token, { began, done: Date.now() });
}

test('cached verdicts in four processes never outlive a revocation by more than the bound during failovers', async () => {
  const users = Array.from({ length: USERS }, (_, index) => `user-${index}`);
  await stores.run('users', 'import', { stdin: `sub\n${users.join('\n')}\n` }, '-');
  const issued: IssuedToken[] = [];
  const issue = async (subs: readonly string[]) => {
    const { stdout } = await stores.run('token', 'issue', '--sub-file', '-', { stdin: subs.join('\n') });
    const made: IssuedToken[] = parseNdjson(stdout);
    issued.push(...made);
    return made;
  };
  await issue(users.flatMap((sub) => Array(TOKENS_PER_USER).fill(sub)));

  const env = { ...stores.env, PATH: process.env.PATH ?? '' };
  const verifiers = Array.from({ length: PROCESSES }, () => startProgram('verifying-near.mjs', [], env));
  try {
    await Promise.all(verifiers.map(({ message }) => message()));
    for (const { token } of issued) for (const { send } of verifiers) send(token);

    const tokensOf = (sub: string) => issued.filter((one) => one.sub === sub);
    const usersToRevoke = [...users.keys()].slice(0, 3 * (USERS / 4)).map((index) => `user-${index}`);
    /** Revokes tokens of a few users in four ways. A flush runs only if no failover is near, which could undo it. */
    const revokeSome = async ({ isSettled }: { isSettled: boolean }) => {
      for (const way of ['token', 'subject', 'user', 'flush'] as const) {
        const sub = usersToRevoke.pop();
        if (sub === undefined) return;
        const tokens = tokensOf(sub);
        const [first] = tokens as [IssuedToken, ...IssuedToken[]];
        if (way === 'token') await revoke([first], 'token', 'revoke', first.token, '--json');
        if (way === 'subject')
          await revoke(tokens, 'token', 'revoke', '--sub', sub, '--all', '--yes', '--json');
        if (way === 'user') await revoke(tokens, 'users', 'disable', sub, '--json');
        if (way === 'flush' && isSettled)
          await revoke(tokens, 'cache', 'flush', '--sub', sub, '--yes', '--json');
      }
    };
    const rotate = async () => {
      expect((await stores.run('keys', 'rotate', '--now', '--json')).exitCode).toBe(0);
      for (const { token } of await issue(['user-110', 'user-111', 'user-112'])) {
        for (const { send } of verifiers) send(token);
      }
    };

    await revokeSome({ isSettled: true });
    for (let third = 0; third < 3; third++) {
      await rotate();
      await Promise.all([cluster.failOver(third), revokeSome({ isSettled: false })]);
      await revokeSome({ isSettled: true });
      await cluster.rejoin(third);
      await revokeSome({ isSettled: true });
    }
    const { master } = cluster.pair(0);
    const pid = Number(/process_id:(\d+)/.exec(await master.client.info('server'))?.[1]);
    process.kill(pid, 'SIGSTOP');
    try {
      // The replica takes over by itself. Revocations are recorded meanwhile, wherever the tokens are.
      for (let round = 0; round < 3; round++) await revokeSome({ isSettled: false });
      await expect
        .poll(() => cluster.pair(0).replica.client.info('replication'), { timeout: 20_000 })
        .toMatch(/role:master/);
      await revokeSome({ isSettled: true });
    } finally {
      process.kill(pid, 'SIGCONT');
    }
    await revokeSome({ isSettled: true });
    await delay(BOUND_MS + 500);

    const reports = await Promise.all(
      verifiers.map(({ send, message }) => {
        const report = message() as Promise<Report>;
        send('end');
        return report;
      }),
    );
    const tooLate: unknown[] = [];
    const wrongly: unknown[] = [];
    const lags: number[] = [];
    for (const { tokens } of reports) {
      for (const [token, { lastAccepted, firstRefused, code }] of Object.entries(tokens)) {
        const revocation = revocations.get(token);
        const done = revocation?.done ?? null;
        if (done !== null && lastAccepted !== null) {
          lags.push(Math.max(0, lastAccepted - done));
          if (lastAccepted > done + BOUND_MS) tooLate.push({ afterMs: lastAccepted - done });
        }
        if (firstRefused !== null && (revocation === undefined || firstRefused < revocation.began))
          wrongly.push(code);
      }
    }
    const sum = (pick: (report: Report) => number) => reports.reduce((total, one) => total + pick(one), 0);
    expect(tooLate).toEqual([]);
    expect(wrongly).toEqual([]);
    expect(reports.flatMap(({ other }) => other)).toEqual([]);
    expect([...revocations.values()].filter(({ done }) => done !== null).length).toBeGreaterThan(50);
    expect(sum(({ verifications }) => verifications)).toBeGreaterThan(100_000);
    expect(sum(({ nearCache }) => nearCache.hits)).toBeGreaterThan(50_000);
    // Tokens that were not revoked are accepted to the end.
    const accepted = reports.map(
      ({ tokens }) => Object.values(tokens).filter((one) => one.lastAccepted).length,
    );
    expect(Math.min(...accepted)).toBeGreaterThan(USERS / 2);
  } finally {
    for (const { kill } of verifiers) kill();
  }
}, 180_000);
