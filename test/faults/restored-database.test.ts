import { setTimeout as delay } from 'node:timers/promises';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { systemClock } from '../../src/app/clock.js';
import { findLosses, type RecoveryPorts, settle } from '../../src/domain/recovery/recover.js';
import { JwtctlError } from '../../src/domain/shared/errors.js';
import type { Issuer } from '../../src/domain/tokens/issue.js';
import { openStoreIssuer } from '../../src/issuer/store-issuer.js';
import type { LiveVerifier } from '../../src/verifier/live-verifier.js';
import { openLiveVerifier } from '../../src/verifier/open-live-verifier.js';
import { cli } from '../support/cli.js';
import { collect } from '../support/collect.js';
import { backUp, type DatabaseBackup } from '../support/database-backup.js';
import { openContext } from '../support/opened-context.js';
import { openStores, type Stores } from '../support/stores.js';

// Each test runs many commands.
vi.setConfig({ testTimeout: 120_000 });

let stores: Stores;
let warnings: string[];
let closers: Array<() => Promise<unknown>>;
let backup: DatabaseBackup;
let leaked: string;

beforeEach(async () => {
  closers = [];
  warnings = [];
  stores = await openStores('MariaDB and a Redis Cluster');
  leaked = (await stores.json('keys', 'generate')).kid;
  await stores.json('keys', 'generate');
});
afterEach(async () => {
  for (const close of closers.reverse()) await close();
  await stores?.close();
});

async function openService() {
  const context = await openContext({ env: stores.env, home: stores.home, clock: systemClock });
  closers.push(() => context.dispose());
  return context;
}

async function openVerifier(): Promise<LiveVerifier> {
  const verifier = await openLiveVerifier(await openService(), { warn: (text) => warnings.push(text) });
  closers.push(() => verifier.close());
  return verifier;
}

async function openIssuer(): Promise<Issuer> {
  return openStoreIssuer(await openService());
}

async function verdict(verifier: LiveVerifier, token: string): Promise<string> {
  try {
    const result = await verifier.verify(token);
    return result.active ? 'accepted' : result.error.code;
  } catch (error) {
    if (error instanceof JwtctlError && error.kind === 'unavailable') return error.code;
    throw error;
  }
}

/** @returns the token */
async function issue(sub: string): Promise<string> {
  return (await stores.json('token', 'issue', '--sub', sub, '--create-user')).token;
}

/** Issues tokens, makes a backup, revokes them in several ways, and restores the backup. */
async function comeBackFromBackup() {
  const tokens = { alice: await issue('alice'), bob: await issue('bob'), carol: await issue('carol') };
  await stores.json('cache', 'snapshot', 'entries');
  backup = await backUp(String(stores.env.JWTCTL_MYSQL_URL));
  const verifier = await openVerifier();
  const issuer = await openIssuer();
  await issuer.issue({ sub: 'carol' });
  for (const token of Object.values(tokens)) expect(await verdict(verifier, token)).toBe('accepted');

  const ban = ['alice', '--reason', 'left', '--for', '12h'];
  const { disabledUntil } = await stores.json('users', 'disable', ...ban);
  await stores.json('token', 'revoke', tokens.bob);
  await stores.json('keys', 'compromise', leaked, '--reason', 'leaked', '--yes');
  await until(async () => (await verdict(verifier, tokens.carol)) === 'ERR_KEY_NOT_TRUSTED');
  await backup.restore();
  return { tokens, verifier, issuer, disabledUntil };
}

async function until(isTrue: () => Promise<boolean>): Promise<void> {
  const deadline = Date.now() + 15_000;
  while (!(await isTrue())) {
    if (Date.now() > deadline) throw new Error('It did not come true.');
    await delay(50);
  }
}

function isBehind(verifier: LiveVerifier): boolean {
  return verifier.health().database.code === 'ERR_DATABASE_BEHIND';
}

test('a verifier keeps what it had read, and warns', async () => {
  const { tokens, verifier } = await comeBackFromBackup();
  await until(async () => isBehind(verifier));
  for (const token of Object.values(tokens))
    expect(await verdict(verifier, token)).toBe('ERR_KEY_NOT_TRUSTED');
  expect(verifier.health()).toMatchObject({ isReady: true, database: { state: 'degraded' } });
  expect(warnings.filter((text) => text.startsWith('MySQL lacks changes'))).toHaveLength(1);
});

test('a verifier that has read revocations and disabled users still refuses their tokens', async () => {
  const [alice, bob] = [await issue('alice'), await issue('bob')];
  const saved = await backUp(String(stores.env.JWTCTL_MYSQL_URL));
  const { client, prefix } = stores.redis as NonNullable<Stores['redis']>;
  const set = `${prefix}:{bob}`;
  const entries = await client.zrange(set, '0', '-1', 'WITHSCORES');
  const verifier = await openVerifier();
  await stores.json('token', 'revoke', bob);
  await stores.json('users', 'disable', 'alice');
  const known = async () => (await (await openService()).registry()).fleet(systemClock.now());
  await until(async () => (await known()).verifiers[0]?.log.position === 2);
  await saved.restore();
  await until(async () => isBehind(verifier));

  // As a failover, a backup file, or a verifier with the older state would bring them back.
  await client.zadd(
    set,
    ...entries.flatMap((_, at) => (at % 2 === 0 ? [`${entries[at + 1]}`, `${entries[at]}`] : [])),
  );
  await client.zadd(`${prefix}:{alice}`, Math.floor(Date.now() / 1000) + 60, '!s', -1, '!v');
  for (let round = 0; round < 3; round++) {
    expect([await verdict(verifier, alice), await verdict(verifier, bob)]).toEqual([
      'ERR_USER_DISABLED',
      'ERR_TOKEN_REVOKED',
    ]);
    await delay(500);
  }
  await client.zrem(`${prefix}:{alice}`, '!s', '!v');
  expect(await verdict(verifier, alice)).toBe('ERR_USER_DISABLED');
});

test('granting access fails with a clear error, and revoking still works', async () => {
  const { tokens, issuer } = await comeBackFromBackup();
  await expect(issuer.issue({ sub: 'carol' })).rejects.toMatchObject({
    code: 'ERR_DATABASE_BEHIND',
    kind: 'state',
  });
  for (const words of [
    ['token', 'issue', '--sub', 'carol'],
    ['token', 'register', tokens.bob],
    ['keys', 'rotate', '--now', '--yes'],
    ['keys', 'activate', 'whichever', '--now'],
    ['keys', 'publish', 'jwks.json'],
    ['cache', 'restore', 'entries'],
    ['cache', 'reconcile'],
  ]) {
    for (const more of [[], ['--dry-run']]) {
      const { exitCode, error } = await stores.run(...words, ...more, '--json');
      expect({ words, more, exitCode, code: error().code }).toEqual({
        ...{ words, more, exitCode: 3, code: 'ERR_DATABASE_BEHIND' },
      });
      expect(error().hint).toContain('jwtctl db recover');
    }
  }
  await stores.json('users', 'disable', 'bob');
  await stores.json('token', 'revoke', '--sub', 'carol', '--all', '--yes');
  // Writes on the older state do not hide that changes are missing.
  expect((await stores.run('token', 'issue', '--sub', 'carol', '--json')).exitCode).toBe(3);
});

test('db recover shows the missing changes, and --reapply records them again', async () => {
  const { tokens, verifier, issuer, disabledUntil } = await comeBackFromBackup();
  const shown = await stores.run('db', 'recover', '--json');
  expect({ exitCode: shown.exitCode, report: shown.json() }).toMatchObject({
    exitCode: 3,
    report: {
      behind: true,
      outcome: 'shown',
      events: [
        { type: 'user_disabled', sub: 'alice', reason: 'left' },
        { type: 'token_revoked', sub: 'bob' },
        { type: 'key_compromised', kid: leaked, reason: 'leaked' },
      ],
      unverified: { mark: false, keys: false, events: [], unreadable: 0 },
    },
  });
  expect(disabledUntil).toBeGreaterThan(0);
  expect(shown.json().events[0].disabledUntil).toBe(disabledUntil);
  expect(shown.json().keys).toContainEqual({ kid: leaked, state: 'compromised', now: 'active' });
  expect(await stores.run('db', 'recover')).toMatchObject({
    stdout: expect.stringContaining('user_disabled'),
  });

  await until(async () => isBehind(verifier));
  expect(await stores.json('db', 'recover', '--reapply', '--yes')).toMatchObject({
    outcome: 'reapplied',
    compromised: [leaked],
  });
  expect(await stores.json('db', 'recover')).toMatchObject({ behind: false, events: [], keys: [] });
  expect(await stores.json('users', 'show', 'alice')).toMatchObject({ status: 'disabled', disabledUntil });
  expect(await stores.json('keys', 'show', leaked)).toMatchObject({ state: 'compromised' });
  const fresh = await openVerifier();
  await until(async () => verifier.health().database.state === 'up');
  for (const token of Object.values(tokens)) {
    expect(await verdict(verifier, token)).toBe('ERR_KEY_NOT_TRUSTED');
    expect(await verdict(fresh, token)).toBe('ERR_KEY_NOT_TRUSTED');
  }
  const issued = await issuer.issue({ sub: 'carol' });
  expect(issued.kid).not.toBe(leaked);
  await until(async () => (await verdict(verifier, issued.token)) === 'accepted');
  expect(await stores.json('cache', 'restore', 'entries')).toMatchObject({ restored: 0 });
  expect(warnings).toContain('MySQL has been recovered. The verifier relies on it again.');
  const [row] = await stores.query("SELECT action, outcome FROM audit_log WHERE action = 'db.recover'");
  expect(row).toEqual({ action: 'db.recover', outcome: 'reapplied' });
});

test('db recover --accept gives up the missing changes, for verifiers and issuers too', async () => {
  const { tokens, verifier, issuer } = await comeBackFromBackup();
  await until(async () => isBehind(verifier));
  const dry = await stores.run('db', 'recover', '--accept', '--dry-run', '--json');
  expect(dry.exitCode).toBe(3);
  expect((await stores.run('db', 'recover', '--accept', '--json')).error().code).toBe(
    'ERR_CONFIRMATION_NEEDED',
  );
  expect(await stores.json('db', 'recover', '--accept', '--yes')).toMatchObject({ outcome: 'accepted' });
  expect(await stores.json('db', 'recover')).toMatchObject({ behind: false, events: [] });
  expect(await stores.json('cache', 'restore', 'entries')).toMatchObject({ restored: 3 });
  for (const token of Object.values(tokens))
    await until(async () => (await verdict(verifier, token)) === 'accepted');
  expect(await issuer.issue({ sub: 'alice' })).toMatchObject({ kid: leaked });
  await until(async () => verifier.health().database.state === 'up');
});

test('a forged mark blocks no command, and is reported', async () => {
  const token = await issue('alice');
  const verifier = await openVerifier();
  const marks = `${stores.redis?.prefix}:marks`;
  const [before] = (await stores.redis?.client.hmget(marks, 'mark')) ?? [];
  const [id, mac] = String(before).split(' ');
  const forged = JSON.stringify([0, 1_000_000, 1_000_000, '0'.repeat(64), 1_000_000, 9_999_999_999]);
  for (const mark of [
    `${id} ${mac} ${forged}`,
    `- - ${forged}`,
    `mk-000000000000 ${mac} ${forged}`,
    'x',
    '',
  ]) {
    await stores.redis?.client.hset(marks, { mark, hint: `- - ${forged}`, keys: mark });
    await stores.redis?.client.zadd(`${stores.redis?.prefix}:events:3`, 9_999_999_999, mark);
    await stores.json('token', 'issue', '--sub', 'alice');
    expect(await stores.json('db', 'recover')).toMatchObject({ behind: false, unverified: { keys: true } });
  }
  const { stderr } = await stores.run('db', 'recover');
  expect(stderr).toContain('cannot be verified with this keyring');
  await delay(1_500);
  expect(await verdict(verifier, token)).toBe('accepted');
  // A key with this kid may have been created since.
  const unknown = `${Buffer.from(JSON.stringify({ alg: 'RS256', kid: 'k' })).toString('base64url')}.e30.AAAA`;
  expect(await verdict(verifier, unknown)).toBe('ERR_DATABASE_STALE');
  await stores.json('token', 'revoke', token);
  expect(await verdict(verifier, token)).toMatch(/^ERR_TOKEN_(NOT_REGISTERED|REVOKED)$/);
});

test('a foreign value in place of the marks blocks no command, and is reported', async () => {
  const verifier = await openVerifier();
  const marks = String(`${stores.redis?.prefix}:marks`);
  await stores.redis?.client.unlink(marks);
  await stores.redis?.client.set(marks, 'x');
  expect(await verdict(verifier, await issue('alice'))).toBe('accepted');
  await stores.json('keys', 'rotate', '--now', '--force');
  const { stderr } = await stores.run('db', 'recover');
  expect(stderr).toContain('cannot be verified with this keyring');
});

test('a foreign value in place of events stops neither marks nor recovery, and is reported', async () => {
  const { client, prefix } = stores.redis as NonNullable<Stores['redis']>;
  const [kept, lost] = [await issue('alice'), await issue('bob')];
  await stores.json('token', 'revoke', kept);
  const saved = await backUp(String(stores.env.JWTCTL_MYSQL_URL));
  const shards = Array.from({ length: 16 }, (_, shard) => `${prefix}:events:${shard}`);
  for (const key of shards) await client.unlink(key);
  for (const key of shards) await client.set(key, 'x');
  const before = await client.hget(`${prefix}:marks`, 'mark');
  const revoked = await stores.run('token', 'revoke', lost);
  expect(revoked.exitCode).toBe(0);
  expect(revoked.stderr).toContain(`Warning: The key ${prefix}:events:`);
  expect(await client.hget(`${prefix}:marks`, 'mark')).not.toBe(before);

  await saved.restore();
  const shown = await stores.run('db', 'recover', '--json');
  expect({ exitCode: shown.exitCode, report: shown.json() }).toMatchObject({
    exitCode: 3,
    report: { behind: true, unverified: { foreignKeys: shards } },
  });
  expect(shown.stderr).toContain(`${prefix}:events:9`);
  expect(await stores.json('db', 'recover', '--accept', '--yes')).toMatchObject({ outcome: 'accepted' });
  expect(await stores.json('db', 'recover')).toMatchObject({ behind: false });
});

test('revocations from a host without the keyring are shown, but never applied', async () => {
  const token = await issue('alice');
  const saved = await backUp(String(stores.env.JWTCTL_MYSQL_URL));
  const { JWTCTL_MASTER_KEY_FILE: _, ...env } = stores.env;
  await cli({ env, home: stores.home, clock: stores.clock }).json('token', 'revoke', token);
  expect(await stores.json('db', 'recover')).toMatchObject({ behind: false, unverified: { events: [] } });
  await saved.restore();
  const { json, stderr } = await stores.run('db', 'recover', '--reapply', '--yes', '--json');
  expect(json()).toMatchObject({
    ...{ outcome: 'shown', events: [] },
    unverified: { events: [{ type: 'token_revoked', sub: 'alice' }] },
  });
  expect(stderr).toContain('Repeat genuine revocations by hand');
  expect(await stores.query('SELECT * FROM security_log')).toEqual([]);

  const accepted = await stores.run('db', 'recover', '--accept', '--yes');
  expect(accepted.stdout).toMatch(/^The older state of the database is accepted/);
  expect(await stores.json('db', 'recover')).toMatchObject({ unverified: { events: [] } });
});

test('an event that was given up cannot be put back to enable a user', async () => {
  const { client, prefix } = stores.redis as NonNullable<Stores['redis']>;
  await stores.json('users', 'add', 'erin');
  const saved = await backUp(String(stores.env.JWTCTL_MYSQL_URL));
  await stores.json('users', 'disable', 'erin');
  await stores.json('users', 'enable', 'erin');
  const { marks } = (await (await openService()).recovery()) as RecoveryPorts;
  const kept = (await collect(marks.events())).flatMap(({ events }) => events ?? []);
  const { text, shard } = kept.find((one) => one.text.includes('user_enabled')) as (typeof kept)[number];
  await saved.restore();
  await stores.json('db', 'recover', '--accept', '--yes');
  await stores.json('users', 'disable', 'erin');
  await client.zadd(`${prefix}:events:${shard}`, 9_999_999_999, text);

  const { exitCode, stdout } = await stores.run('db', 'recover');
  expect(exitCode).toBe(0);
  expect(stdout).toContain('Events that are out of date and will not be applied: 1');
  await stores.json('db', 'recover', '--reapply', '--yes');
  expect(await stores.json('users', 'show', 'erin')).toMatchObject({ status: 'disabled' });
  await stores.json('db', 'recover', '--accept', '--yes');
  expect((await stores.run('db', 'recover')).stdout).not.toContain('user_enabled');
});

test('if only events are missing, db recover says that issuing goes on', async () => {
  const token = await issue('alice');
  const saved = await backUp(String(stores.env.JWTCTL_MYSQL_URL));
  await stores.json('token', 'revoke', token);
  await saved.restore();
  const blocked = await stores.run('db', 'recover');
  expect(blocked.stderr).toContain('Issuing, rotating, and restoring are blocked.');
  await stores.redis?.client.unlink(`${stores.redis?.prefix}:marks`);
  const open = await stores.run('db', 'recover');
  expect({ exitCode: open.exitCode, stderr: open.stderr }).toEqual({
    exitCode: 3,
    stderr: expect.stringContaining('Issuing, rotating, and restoring are not blocked'),
  });
  await issue('alice');
});

test('a database whose old audit rows were archived is not behind', async () => {
  await issue('alice');
  await stores.query('DELETE FROM audit_log');
  await issue('alice');
  expect(await stores.json('db', 'recover')).toMatchObject({ behind: false });
  await stores.json('keys', 'rotate', '--now', '--yes');
  await issue('alice');
});

test('a database whose last audit row was deleted, but not the older ones, is behind', async () => {
  await issue('alice');
  await stores.json('users', 'disable', 'alice');
  await stores.query('DELETE FROM audit_log ORDER BY seq DESC LIMIT 1');
  expect((await stores.run('db', 'recover', '--json')).json()).toMatchObject({ behind: true });
});

test('refuses the second of two recoveries that began at the same time', async () => {
  await comeBackFromBackup();
  const ports = (await (await openService()).recovery()) as RecoveryPorts;
  const [first, second] = [await findLosses(ports), await findLosses(ports)];
  await settle(ports, first, 'accepted');
  await expect(settle(ports, second, 'reapplied')).rejects.toMatchObject({
    code: 'ERR_RECOVERY_CONFLICT',
    kind: 'state',
  });
  expect(await stores.query('SELECT * FROM security_log')).toEqual([]);
});

test('keeps re-applied events in Redis for a second restore', async () => {
  await comeBackFromBackup();
  const ports = (await (await openService()).recovery()) as RecoveryPorts;
  const kept = async () =>
    (await collect(ports.marks.events())).flatMap(({ events }) => events ?? []).map(({ text }) => text);
  const before = await kept();
  await settle(ports, await findLosses(ports), 'reapplied');
  expect(before.length).toBeGreaterThan(0);
  expect(await kept()).toEqual(expect.arrayContaining(before));
});

test('the embedded store has nothing to recover', async () => {
  const shell = cli({});
  await shell.json('keys', 'generate');
  const { exitCode, stdout, stderr } = await shell.run('db', 'recover');
  expect({ exitCode, stdout }).toEqual({ exitCode: 0, stdout: expect.stringContaining('no') });
  expect(stderr).toContain('There is nothing to recover: the embedded store');
});
