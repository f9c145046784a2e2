import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, expect, test, vi } from 'vitest';
import { neededPermissions } from '../../../src/adapters/redis/wire/needed-permissions.js';
import { systemClock } from '../../../src/app/clock.js';
import { familyJti } from '../../../src/domain/model/family.js';
import { newRandomId } from '../../../src/domain/model/random-id.js';
import type { JwtctlError } from '../../../src/domain/shared/errors.js';
import { openLiveVerifier } from '../../../src/verifier/open-live-verifier.js';
import { heartbeatOf } from '../../support/heartbeats.js';
import { openContext } from '../../support/opened-context.js';
import { startRedisCluster } from '../../support/servers.js';
import { openStores, type Stores } from '../../support/stores.js';
import { entryAt, redisCli } from './registry-under-test.js';

const PRINTED = neededPermissions('cluster');
/** Without it, writes are not confirmed by replicas. Only `jwtctl doctor` names it. */
const NEEDED = PRINTED.filter((right) => right !== 'wait');
/** Without these, everything works except for one figure. */
const OPTIONAL = ['ping', 'readonly', 'memory|usage'];
const RIGHTS = [...PRINTED, ...OPTIONAL];

let cluster: Awaited<ReturnType<typeof startRedisCluster>>;
let stores: Stores;
let prefix = '';
let run = 0;
beforeAll(async () => {
  cluster = await startRedisCluster({ masters: 3, replicasPerMaster: 1 });
  stores = await openStores('MariaDB and a Redis Cluster', {
    JWTCTL_REDIS_NODES: cluster.nodes.map(({ node }) => node).join(','),
    JWTCTL_REDIS_USERNAME: 'jwtctl',
    JWTCTL_REDIS_PASSWORD: 'pw',
    JWTCTL_REGISTRY_MAX_PER_SUBJECT: '3',
  });
  prefix = String(stores.env.JWTCTL_REDIS_PREFIX);
  await stores.json('keys', 'generate');
});
beforeEach(() => grant(RIGHTS));
afterAll(async () => {
  await stores?.close();
  await cluster?.stop();
});

async function grant(rights: readonly string[]): Promise<void> {
  const rules = [`~${prefix}:*`, 'resetchannels', '-@all', ...rights.map((right) => `+${right}`)];
  for (const { node } of cluster.nodes) {
    await redisCli(node, 'ACL', 'SETUSER', 'jwtctl', 'reset', 'on', '>pw', ...rules);
    // EVAL is needed only for scripts that the server does not know.
    await redisCli(node, 'SCRIPT', 'FLUSH');
  }
}

/** Runs a typical series of commands and yields the output of each. */
async function* story(): AsyncGenerator<{ words: string; exitCode: number; text: string }> {
  run += 1;
  const [sub, other] = [`alice-${run}`, `bob-${run}`];
  const tell = async (...words: Parameters<Stores['run']>) => {
    const { exitCode, stdout, stderr } = await stores.run(...words);
    return { words: words.slice(0, 3).join(' '), exitCode, text: stdout + stderr, stdout };
  };
  for (const name of [sub, other]) yield tell('users', 'add', name);
  const subjects = join(stores.home, 'subjects.txt');
  writeFileSync(subjects, `${`${sub}\n`.repeat(5)}${other}\n`);
  yield tell('token', 'issue', '--sub', sub, '--meta', 'device=one');
  yield tell('token', 'issue', '--sub-file', subjects, '--meta', 'device=many');
  const issued = await tell('token', 'issue', '--sub', other, '--meta', 'device=phone');
  yield issued;
  const token = issued.stdout.trim();
  yield tell('token', 'verify', '-', { stdin: token });
  yield verifyLive(token);
  yield fillOneSubject();
  yield tell('token', 'list', '--sub', other);
  yield tell('token', 'register', '-', { stdin: token });
  yield tell('users', 'disable', other);
  yield tell('users', 'enable', other);
  yield tell('keys', 'list');
  yield tell('cache', 'nodes');
  yield tell('cache', 'inspect', '--deep', '--top', '3');
  yield tell('cache', 'inspect', '--sub', sub);
  yield tell('cache', 'get', '--sub', other, '--jti', jtiOf(token));
  yield tell('cache', 'snapshot', `snapshot-${run}`);
  yield tell('cache', 'flush', '--sub', sub, '--backup', `flushed-${run}`, '--yes');
  yield tell('cache', 'restore', `flushed-${run}`);
  yield tell('cache', 'flush', '--all', '--yes');
  yield tell('cache', 'restore', `snapshot-${run}`);
  yield tell('cache', 'reconcile');
  yield tell('keys', 'usage');
  yield tell('token', 'revoke', '--sub', sub, '--all', '--yes');
  yield tell('users', 'remove', other, '--yes');
  yield tell('cache', 'flush', '--all', '--yes');
}

function jtiOf(token: string): string {
  return JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString()).jti;
}

/** Verifies with a near cache, until the verifier has checked that the server still sends invalidations. */
async function verifyLive(token: string) {
  const context = await openContext({ ...stores, clock: systemClock });
  const warnings: string[] = [];
  const tell = (exitCode: number) => ({ words: 'a verifier', exitCode, text: warnings.join('\n') });
  try {
    const verifier = await openLiveVerifier(context, {
      nearCache: true,
      warn: (text) => warnings.push(text),
    });
    const begun = Date.now();
    // The verifier sends a heartbeat every 250 ms, so a refusal comes as often.
    await vi.waitFor(async () => {
      await verifier.verify(token);
      if (warnings.length === 0 && Date.now() < begun + 600) throw new Error('No warning so far.');
    });
    await verifier.close();
    return tell(0);
  } catch (error) {
    warnings.push(textOf(error));
    return tell(4);
  } finally {
    await context.dispose();
  }
}

/** Reports one verifier, and registers more entries for one subject than a script returns in one call, and too many sessions. */
async function fillOneSubject() {
  const context = await openContext({ ...stores, clock: systemClock });
  const tell = (exitCode: number, text = '') => ({ words: 'the registry', exitCode, text });
  try {
    const registry = await context.registry();
    const now = context.clock.now();
    await registry.report(heartbeatOf(`verifier-${run}`, now));
    await registry.deregister(`verifier-${run}`);
    const entries = Array.from({ length: 2_100 }, (_, index) => entryAt(now, `jti-${index}`));
    const outcomes = await registry.registerMany(
      entries.map((entry) => ({ sub: `crowd-${run}`, entry, now, meta: { device: `meta of ${entry.jti}` } })),
    );
    for (const outcome of outcomes) if (outcome instanceof Error) throw outcome;
    await registry.list(`crowd-${run}`, now);
    const family = { startedAt: now, exp: now + 60, graceSeconds: 1, limit: { most: 1, above: 1 } };
    for (let login = 0; login < 3; login++) {
      const entry = entryAt(now, familyJti(newRandomId(), 0));
      const [outcome] = await registry.advanceFamilies([{ sub: `sessions-${run}`, entry, now, family }]);
      if (outcome instanceof Error) throw outcome;
    }
    return tell(0);
  } catch (error) {
    return tell(4, textOf(error));
  } finally {
    await context.dispose();
  }
}

function textOf(error: unknown): string {
  const { message, hint } = error as JwtctlError;
  return `${message} ${hint}`;
}

test('all commands work with the required rights', async () => {
  for await (const { words, exitCode, text } of story()) {
    expect({ words, exitCode }, text).toEqual({ words, exitCode: 0 });
    expect(text).not.toMatch(/permi(?:t|ssion)|answered|near cache is off/);
  }
});

test.each(NEEDED)('without %s, a message names the right', async (right) => {
  await grant(RIGHTS.filter((one) => one !== right));
  const name = new RegExp(`(?<![\\w|])${right.replace('|', '\\|')}(?![\\w|])`);
  const said: string[] = [];
  for await (const { words, exitCode, text } of story()) {
    if (exitCode !== 0 || /permi(?:t|ssion)|near cache is off/.test(text))
      said.push(`${words}: ${exitCode} ${text}`);
    if (said.some((one) => name.test(one))) break;
  }

  expect(said.at(-1) ?? 'no message').toMatch(name);
  // `+cluster` alone would grant RESET and FAILOVER.
  expect(said.join('\n')).not.toMatch(/\+(cluster|client|memory)(?!\|)/);
  expect(said.join('\n')).not.toContain('bug');
});

test('without the optional rights, everything else works', async () => {
  await grant(NEEDED);
  for await (const { words, exitCode, text } of story()) {
    expect({ words, exitCode }, text).toEqual({ words, exitCode: 0 });
    expect(text).not.toMatch(/permi(?:t|ssion)|answered|near cache is off/);
  }
});
