import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { Context } from '../../src/app/context.js';
import type { LiveVerifier } from '../../src/verifier/live-verifier.js';
import { openLiveVerifier } from '../../src/verifier/open-live-verifier.js';
import { ManualClock } from '../support/clock.js';
import { openContext } from '../support/opened-context.js';
import { keyIds } from '../support/planted-entries.js';
import { planting } from '../support/planting.js';
import { freshJwk, keyOf, pkcs8Of } from '../support/private-keys.js';
import { signJws } from '../support/signing.js';
import { openStores, type Stores } from '../support/stores.js';

/** Versions that an attacker with write access only to Redis can forge for a user. */
const FORGED_VERSIONS = [
  '-9007199254740991',
  '-9007199254740992',
  '-inf',
  '+inf',
  '5',
  '-2.5',
  '-3',
  '-2',
  '-1',
];

let stores: Stores;
let clock: ManualClock;
let context: Context;
let verifiers: LiveVerifier[];

async function open(env: Record<string, string> = {}): Promise<void> {
  stores = await openStores('MariaDB and a Redis Cluster', env);
  clock = new ManualClock(stores.clock.now());
  context = { ...(await openContext(stores)), clock };
  verifiers = [];
  await stores.json('keys', 'generate');
}

/** Opens one verifier that asks Redis each time, and one with a near cache. */
async function openVerifiers(): Promise<void> {
  for (const nearCache of [false, true]) verifiers.push(await openLiveVerifier(context, { nearCache }));
}

afterEach(async () => {
  await Promise.all(verifiers.map((verifier) => verifier.close()));
  await context.dispose();
  await stores.close();
});

/** Moves every clock, and waits until both verifiers have read the database again. */
async function advance(seconds: number): Promise<void> {
  await expect.poll(async () => (await clock.awaited()).length).toBeGreaterThanOrEqual(4);
  stores.clock.advance(seconds);
  clock.advance(seconds);
}

function key(sub: string): string {
  return `${stores.redis?.prefix}:{${sub}}`;
}

async function forge(sub: string, version: string, status = stores.clock.now() + 55): Promise<void> {
  await stores.redis?.client.zadd(key(sub), status, '!s', version, '!v');
}

async function versionOf(sub: string): Promise<string | null | undefined> {
  return stores.redis?.client.zscore(key(sub), '!v');
}

/** Returns the verdicts of both verifiers and the CLI: the refusal code, or `active`. */
async function verdicts(token: string): Promise<string[]> {
  const found = await Promise.all(verifiers.map((verifier) => verifier.verify(token)));
  const { active, error } = (await stores.run('token', 'verify', token, '--json')).json();
  return [
    ...found.map((result) => (result.active ? 'active' : result.error.code)),
    active ? 'active' : error.code,
  ];
}

const all = (code: string) => [code, code, code];

describe('an attacker who can write to Redis', () => {
  beforeEach(async () => {
    await open();
    await openVerifiers();
  });

  test('cannot bring back a disabled user, and the forged status is overwritten', async () => {
    const { token } = await stores.json('token', 'issue', '--sub', 'alice', '--create-user');
    expect(await verdicts(token)).toEqual(all('active'));
    await stores.json('users', 'disable', 'alice');
    expect(await verdicts(token)).toEqual(all('ERR_USER_DISABLED'));
    for (const version of FORGED_VERSIONS) {
      await forge('alice', version);
      expect(await verdicts(token), version).toEqual(all('ERR_USER_DISABLED'));
      await expect.poll(() => versionOf('alice'), { message: version }).toBe('-2');
      await forge('alice', version);
      // By now, the verifiers have read the change in the log.
      await advance(2);
      expect(await verdicts(token), version).toEqual(all('ERR_USER_DISABLED'));
    }
    for (const round of [1, 2, 3, 4]) {
      await forge('alice', '-9007199254740991');
      await advance(50);
      expect(await verdicts(token), String(round)).toEqual(all('ERR_USER_DISABLED'));
    }
  }, 60_000);

  test('cannot keep a disabled user enabled while the verifiers cannot reach the database', async () => {
    const { token } = await stores.json('token', 'issue', '--sub', 'alice', '--create-user');
    expect(await verdicts(token)).toEqual(all('active'));
    await stores.json('users', 'disable', 'alice');
    await advance(2);
    expect(await verdicts(token)).toEqual(all('ERR_USER_DISABLED'));
    await forge('alice', '-9007199254740991', stores.clock.now() + 60);
    const { users, securityLog } = await context.database();
    const away = () => Promise.reject(new Error('away'));
    Object.assign(users, { findMany: away });
    Object.assign(securityLog, { listAfter: away });
    const results = await Promise.allSettled(verifiers.map((verifier) => verifier.verify(token)));
    for (const result of results)
      expect(result.status === 'fulfilled' && result.value.active, result.status).toBe(false);
  });

  test('cannot keep a user disabled who is enabled again', async () => {
    const { token } = await stores.json('token', 'issue', '--sub', 'alice', '--create-user');
    await stores.json('users', 'disable', 'alice');
    await stores.json('users', 'enable', 'alice');
    await forge('alice', '-9007199254740991', -(stores.clock.now() + 55));
    expect(await verdicts(token)).toEqual(all('active'));
    await expect.poll(() => versionOf('alice')).toBe('-3');
  });

  test.each([
    ['users', 'disable', 'alice'],
    ['cache', 'reconcile'],
  ])('is overwritten by %s %s', async (...command) => {
    await stores.json('token', 'issue', '--sub', 'alice', '--create-user');
    await stores.json('users', 'disable', 'alice');
    await forge('alice', '-9007199254740991');
    await stores.json(...command.filter((word) => word !== undefined));
    expect(await versionOf('alice')).toBe('-2');
    expect(Number(await stores.redis?.client.zscore(key('alice'), '!s'))).toBeLessThan(0);
  });

  test('can bring back a removed entry, but no revoked token and no token without a key here', async () => {
    const { token } = await stores.json('token', 'issue', '--sub', 'alice', '--create-user');
    const client = stores.redis?.client;
    const members = (await client?.zrange(key('alice'), '0', '-1', 'WITHSCORES')) ?? [];
    const index = members.findIndex((member) => member.includes('.'));
    const bringBack = () => client?.zadd(key('alice'), String(members[index + 1]), String(members[index]));

    await stores.json('cache', 'flush', '--sub', 'alice', '--yes');
    expect(await verdicts(token)).toEqual(all('ERR_TOKEN_NOT_REGISTERED'));
    await bringBack();
    expect(await verdicts(token)).toEqual(all('active'));

    await stores.json('token', 'revoke', '--sub', 'alice', '--all', '--yes');
    await bringBack();
    await advance(2);
    await expect.poll(() => verdicts(token)).toEqual(all('ERR_TOKEN_REVOKED'));

    const [header, payload] = token.split('.');
    const forged = `${header}.${payload}.${'A'.repeat(342)}`;
    expect(await verdicts(forged)).toEqual(all('ERR_SIGNATURE_INVALID'));
  });

  test('cannot make a token of a disabled user', async () => {
    await stores.json('token', 'issue', '--sub', 'alice', '--create-user');
    await stores.json('users', 'disable', 'alice');
    await forge('alice', '-9007199254740991');
    const { exitCode, error } = await stores.run('token', 'issue', '--sub', 'alice', '--json');
    expect([exitCode, error().code]).toEqual([3, 'ERR_USER_DISABLED']);
  });
});

test('an attacker who can write to Redis cannot register a refresh token that a trusted key signed', async () => {
  await open();
  const key = keyOf(freshJwk());
  await stores.json('keys', 'import', '--pem', '-', '--kid', 'theirs', { stdin: pkcs8Of(key) });
  await stores.json('users', 'add', 'alice');
  await openVerifiers();
  const keyId = (await keyIds(stores)).theirs ?? expect.unreachable();
  const sign = async (jti: string, more: Record<string, unknown>) => {
    const iat = stores.clock.now();
    const claims = { iss: 'jwtctl', aud: 'user', sub: 'alice', iat, exp: iat + 600, jti };
    await planting(stores).plantEntry('alice', { jti, keyId, iat, exp: iat + 600 });
    return signJws({ privateKey: key }, { alg: 'RS256', kid: 'theirs' }, { ...claims, ...more });
  };
  expect(await verdicts(await sign('access', { typ: 'Bearer' }))).toEqual(all('active'));
  for (const more of [{ typ: 'Refresh' }, { typ: 'Offline' }, { token_use: 'id' }, { tokenType: 'refresh' }])
    expect(await verdicts(await sign(JSON.stringify(more), more))).toEqual(all('ERR_TOKEN_TYPE_REFUSED'));
});

describe('with an external user table', () => {
  beforeEach(async () => {
    await open({
      JWTCTL_USERS_SOURCE: 'table',
      JWTCTL_USERS_TABLE: 'accounts',
      JWTCTL_USERS_COLUMN: 'login',
      JWTCTL_USERS_ENABLED_WHERE: 'enabled = 1',
    });
    await stores.query('CREATE TABLE accounts (login varchar(255), enabled int)');
    await stores.query("INSERT INTO accounts VALUES ('alice', 1), ('bob', 1)");
    await openVerifiers();
  });

  test('a user disabled there is refused after users.statusTtl, regardless of Redis', async () => {
    const { token } = await stores.json('token', 'issue', '--sub', 'alice');
    expect(await verdicts(token)).toEqual(all('active'));
    await stores.query("UPDATE accounts SET enabled = 0 WHERE login = 'alice'");
    for (const version of ['0', '-9007199254740991']) {
      await forge('alice', version, stores.clock.now() + 65);
      await advance(61);
      await forge('alice', version, stores.clock.now() + 65);
      expect(await verdicts(token), version).toEqual(all('ERR_USER_DISABLED'));
    }
    await stores.query("UPDATE accounts SET enabled = 1 WHERE login = 'alice'");
    await advance(61);
    expect(await verdicts(token)).toEqual(all('active'));
  });

  test('a running verifier asks the table once per users.statusTtl for each user', async () => {
    const tokens: string[] = [];
    for (const sub of ['alice', 'bob'])
      tokens.push((await stores.json('token', 'issue', '--sub', sub)).token);
    const users = await context.users();
    const findMany = users.findMany.bind(users);
    const asked: string[][] = [];
    Object.assign(users, {
      findMany: (subs: string[]) => {
        asked.push([...subs].sort());
        return findMany(subs);
      },
    });
    const [verifier] = verifiers as [LiveVerifier, LiveVerifier];
    const verifyAll = () => Promise.all(tokens.map((token) => verifier.verify(token)));
    for (let round = 0; round < 3; round++) await verifyAll();
    expect(asked.flat().sort()).toEqual(['alice', 'bob']);
    await advance(60);
    for (let round = 0; round < 3; round++) await verifyAll();
    expect(asked.flat().sort()).toEqual(['alice', 'alice', 'bob', 'bob']);
  });
});
