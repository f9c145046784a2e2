import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { cli } from '../../../support/cli.js';
import { HOSTILE_SUBJECTS } from '../../../support/hostile-subjects.js';
import { type Planting, planting } from '../../../support/planting.js';
import { BACKENDS, openStores, type Stores } from '../../../support/stores.js';

const HOUR = 3_600;
const FIELDS = [
  ...['complete', 'dryRun', 'subjects', 'entries', 'dropped', 'statusesCached', 'expiriesSet', 'leftovers'],
  ...['byNode', 'missed'],
];
const NOTHING = {
  ...{ complete: true, dryRun: false, missed: [], statusesCached: 0, expiriesSet: 0, leftovers: 0 },
  ...{ dropped: { revoked: 0, keyNotTrusted: 0, userUnknown: 0 } },
};

interface Issued {
  token: string;
  jti: string;
  kid: string;
  iat: number;
  exp: number;
}

/** Each test plants one kind of invalid entry in the same registry and removes it. */
describe.each(BACKENDS)('cache reconcile on %s', (backend) => {
  let stores: Stores;
  let planted: Planting;
  let living: Issued;

  beforeAll(async () => {
    stores = await openStores(backend);
    planted = planting(stores);
    await stores.json('keys', 'generate');
    await stores.json('keys', 'generate');
    living = await issue('alice');
  });
  afterAll(() => stores?.close());

  async function issue(sub: string, ...more: string[]): Promise<Issued> {
    return stores.json('token', 'issue', `--sub=${sub}`, '--create-user', ...more);
  }

  /** Writes an entry again, as a failover can. */
  async function plantAgain(sub: string, { jti, kid, iat, exp }: Issued): Promise<void> {
    await planted.plantEntry(sub, { keyId: await idOf(kid), jti, iat, exp });
  }

  async function idOf(kid: string): Promise<number> {
    const [row] = await stores.query('SELECT id FROM keystore WHERE kid = ?', [kid]);
    return Number(row?.id);
  }

  async function verdict({ token }: Issued): Promise<string> {
    const { json } = await stores.run('token', 'verify', token, '--json');
    return json().active ? 'active' : json().error.code;
  }

  /** Expects the same report from a dry run and a real one, nothing to do afterwards, and one pair of audit rows. */
  async function expectRepair(expected: Record<string, unknown>) {
    const before = await stores.content();
    const tried = await stores.json('cache', 'reconcile', '--dry-run');
    expect(Object.keys(tried)).toEqual(FIELDS);
    expect(tried).toMatchObject({ ...NOTHING, ...expected, dryRun: true });
    expect(await stores.content()).toBe(before);

    const done = await stores.json('cache', 'reconcile', '--actor', 'cron@host');
    expect(done).toEqual({ ...tried, dryRun: false });
    const rows = await stores.query('SELECT actor, action, outcome FROM audit_log ORDER BY seq DESC LIMIT 2');
    const row = { actor: 'cron@host', action: 'cache.reconcile' };
    expect(rows).toEqual([
      { ...row, outcome: 'done' },
      { ...row, outcome: 'begun' },
    ]);
    const after = await stores.content();
    expect(await stores.json('cache', 'reconcile')).toMatchObject(NOTHING);
    expect(await stores.content()).toBe(after);
    expect(await verdict(living)).toBe('active');
    return done;
  }

  test('changes nothing in a consistent registry', async () => {
    const before = await stores.content();
    expect(await stores.json('cache', 'reconcile')).toMatchObject({ ...NOTHING, subjects: 1, entries: 1 });
    expect((await stores.run('cache', 'reconcile', '-q')).stdout).toBe('0\n');
    const { exitCode, stdout } = await stores.run('cache', 'reconcile');
    expect({ exitCode, stdout }).toEqual({
      exitCode: 0,
      stdout: '1 token of 1 subject: nothing to fix\n',
    });
    expect(await stores.content()).toBe(before);
  });

  test('removes the entry of a revoked token on any node', async () => {
    const stale = await issue('alice');
    await stores.json('token', 'revoke', stale.token);
    await plantAgain('alice', stale);
    const { byNode } = await expectRepair({ entries: 2, dropped: { ...NOTHING.dropped, revoked: 1 } });
    expect(await planted.jtis('alice')).toEqual([living.jti]);
    expect(await verdict(stale)).toBe('ERR_TOKEN_REVOKED');
    expect(byNode).toHaveLength(stores.isCluster ? 3 : 1);
    expect(
      byNode
        .map(({ dropped }: { dropped: number }) => dropped)
        .sort()
        .at(-1),
    ).toBe(1);
  });

  test('removes the entries of a revoked subject, and shows it in the table', async () => {
    const staleTokens = [await issue('bob'), await issue('bob')];
    await stores.json('token', 'revoke', '--sub', 'bob', '--all', '--yes');
    for (const stale of staleTokens) await plantAgain('bob', stale);
    const tried = await stores.run('cache', 'reconcile', '-n');
    expect(tried.lines()[0]).toBe('3 tokens of 2 subjects: 2 to fix');
    expect(tried.stderr).toContain('Dry run');
    const done = await stores.run('cache', 'reconcile');
    expect(done.lines()[0]).toBe('3 tokens of 2 subjects: 2 fixed');
    expect(done.stdout).toMatch(/entries of revoked tokens\s+2/);
    expect(await planted.jtis('bob')).toEqual([]);
  });

  test('removes entries under retired, purged, and compromised keys', async () => {
    const stale = { ...living, jti: 'under-a-retired-key' };
    const { kid } = await stores.json('keys', 'generate');
    const keyId = await idOf(kid);
    await stores.json('keys', 'retire', kid);
    await plantAgain('alice', { ...stale, kid });
    await expectRepair({ dropped: { ...NOTHING.dropped, keyNotTrusted: 1 } });

    await stores.json('keys', 'purge', '--yes');
    await planted.plantEntry('alice', { ...stale, keyId });
    await expectRepair({ dropped: { ...NOTHING.dropped, keyNotTrusted: 1 } });

    const leaked = (await stores.json('keys', 'generate')).kid;
    await stores.json('keys', 'compromise', leaked, '--reason', 'leaked', '--yes');
    await plantAgain('alice', { ...stale, kid: leaked });
    await expectRepair({ dropped: { ...NOTHING.dropped, keyNotTrusted: 1 } });
  });

  test('corrects the cached status of a disabled and of an enabled user', async () => {
    const token = await issue('carol');
    const until = stores.clock.now() + 60;
    await stores.json('users', 'disable', 'carol');
    await planted.plantStatus('carol', { status: 'enabled', version: 1, until });
    await expectRepair({ statusesCached: 1 });
    expect(await planted.cachedStatus('carol')).toBe('disabled 2');
    expect(await verdict(token)).toBe('ERR_USER_DISABLED');

    await stores.json('users', 'enable', 'carol');
    await planted.plantStatus('carol', { status: 'disabled', version: 2, until });
    await expectRepair({ statusesCached: 1 });
    expect(await planted.cachedStatus('carol')).toBe('enabled 3');
    expect(await verdict(token)).toBe('active');
    await stores.json('users', 'remove', 'carol', '--yes');
  });

  test('removes the entries of a user whose row another program removed', async () => {
    await issue('dave');
    await stores.query('DELETE FROM users WHERE sub = ?', ['dave']);
    await expectRepair({ dropped: { ...NOTHING.dropped, userUnknown: 1 } });
    expect(await planted.jtis('dave')).toEqual([]);
    expect(await planted.cachedStatus('dave')).toBeNull();
  });

  test('keeps entries with users in an external table or without users', async () => {
    const now = stores.clock.now();
    await stores.query('CREATE TABLE accounts (login varchar(64))');
    await planted.plantEntry('erin', { keyId: await idOf(living.kid), jti: 'e', iat: now, exp: now + HOUR });
    const table = {
      JWTCTL_USERS_SOURCE: 'table',
      JWTCTL_USERS_TABLE: 'accounts',
      JWTCTL_USERS_COLUMN: 'login',
    };
    for (const env of [{ JWTCTL_USERS_SOURCE: 'off' }, table]) {
      const shell = cli({ home: stores.home, clock: stores.clock, env: { ...stores.env, ...env } });
      expect((await shell.json('cache', 'reconcile')).dropped).toEqual(NOTHING.dropped);
    }
    expect(await planted.jtis('erin')).toEqual(['e']);
    await expectRepair({ dropped: { ...NOTHING.dropped, userUnknown: 1 } });
  });

  test('removes expired entries, and the cached status of a subject without entries', async () => {
    const now = stores.clock.now();
    const keyId = await idOf(living.kid);
    await planted.plantEntry('alice', { keyId, jti: 'old', iat: now - HOUR, exp: now - 60 });
    await planted.plantEntry('bob', { keyId, jti: 'old', iat: now - HOUR, exp: now - 60 });
    await planted.plantStatus('bob', { status: 'enabled', version: 1, until: now + 60 });
    await expectRepair({ subjects: 2, entries: 1, leftovers: 2 });
    expect(await planted.jtis('alice')).toEqual([living.jti]);
    expect(await planted.jtis('bob')).toEqual([]);
    expect(await planted.cachedStatus('bob')).toBeNull();
  });

  test('removes the invalid entry and keeps the valid one of each hostile subject', async () => {
    const keyId = await idOf(living.kid);
    const { iat, exp } = living;
    const subs = HOSTILE_SUBJECTS.filter((sub) => sub !== 'alice');
    for (const sub of subs) {
      await stores.query(
        `INSERT INTO users (sub, status, version, created_at, updated_at) VALUES (?, 'enabled', 1, ${iat}, ${iat})`,
        [sub],
      );
      await stores.query(
        `INSERT INTO security_log (type, sub, jti, at, expires_at) VALUES ('token_revoked', ?, 'stale', ${iat}, ${exp})`,
        [sub],
      );
      for (const jti of ['stale', 'token']) await planted.plantEntry(sub, { keyId, iat, exp, jti });
    }
    await expectRepair({
      ...{
        subjects: subs.length + 1,
        entries: 2 * subs.length + 1,
        dropped: { ...NOTHING.dropped, revoked: subs.length },
      },
      // The planted set never expires. Removing the invalid entry corrects that.
      expiriesSet: stores.isCluster ? subs.length : 0,
    });
    for (const sub of subs) expect({ sub, jtis: await planted.jtis(sub) }).toEqual({ sub, jtis: ['token'] });
  });
});

describe('cache reconcile in a Redis Cluster', () => {
  let stores: Stores;
  let redis: NonNullable<Stores['redis']>;
  let living: Issued;
  let alice = '';

  beforeAll(async () => {
    stores = await openStores('MariaDB and a Redis Cluster');
    redis = stores.redis as typeof redis;
    alice = `${redis.prefix}:{alice}`;
    await stores.json('keys', 'generate');
    living = await stores.json('token', 'issue', '--sub', 'alice', '--create-user', '--meta', 'device=phone');
  });
  afterAll(() => stores?.close());

  test('corrects the expiry of a set that is missing or wrong', async () => {
    const right = living.exp + 5;
    for (const wrong of [null, right - 60, right + 60]) {
      if (wrong === null) await redis.client.persist(alice);
      else await redis.client.expireat(alice, wrong);
      expect(await stores.json('cache', 'reconcile', '-n')).toMatchObject({
        ...NOTHING,
        dryRun: true,
        expiriesSet: 1,
      });
      expect(await redis.client.expiretime(alice)).toBe(wrong ?? -1);
      expect(await stores.json('cache', 'reconcile')).toMatchObject({ ...NOTHING, expiriesSet: 1 });
      expect(await redis.client.expiretime(alice)).toBe(right);
      expect(await redis.client.expiretime(`${alice}:meta`)).toBe(right);
      expect(await stores.json('cache', 'reconcile')).toMatchObject(NOTHING);
    }
    expect((await stores.json('token', 'list', '--sub', 'alice'))[0].meta).toEqual({ device: 'phone' });
  });

  test('removes a set with only a status and meta', async () => {
    const bob = `${redis.prefix}:{bob}`;
    await redis.client.zadd(bob, -9, '!s', -3, '!v');
    await redis.client.hset(`${bob}:meta`, '1.1.gone', 'phone');
    expect(await stores.json('cache', 'reconcile')).toMatchObject({ ...NOTHING, leftovers: 1 });
    expect(await redis.client.exists(bob)).toBe(0);
    expect(await redis.client.exists(`${bob}:meta`)).toBe(0);
    expect(await stores.json('cache', 'reconcile')).toMatchObject(NOTHING);
  });

  test('removes the revoked tokens of a subject that is read in parts', async () => {
    await stores.json('users', 'add', 'service');
    const [key] = await stores.query('SELECT id FROM keystore');
    const names = Array.from({ length: 5_000 }, (_, index) => `j${index}`);
    const start = `${Number(key?.id).toString(36)}.${living.iat.toString(36)}.`;
    const service = `${redis.prefix}:{service}`;
    await redis.client.zadd(
      service,
      ...names.flatMap((jti, index) => [living.exp + (index % 7), `${start}${jti}`]),
    );
    const revoked = names.filter((_, index) => index % 2 === 0);
    const values = revoked.map(
      (jti) => `('token_revoked', 'service', '${jti}', ${living.iat}, ${living.exp + 99})`,
    );
    await stores.query(
      `INSERT INTO security_log (type, sub, jti, at, expires_at) VALUES ${values.join(', ')}`,
    );

    const expected = {
      subjects: 2,
      entries: 5_001,
      dropped: { ...NOTHING.dropped, revoked: 2_500 },
      expiriesSet: 1,
    };
    expect(await stores.json('cache', 'reconcile', '-n')).toMatchObject({
      ...NOTHING,
      ...expected,
      dryRun: true,
    });
    expect(await stores.json('cache', 'reconcile')).toMatchObject({ ...NOTHING, ...expected });
    const left = await redis.client.zrange(service, '0', '-1');
    expect(left.sort()).toEqual(
      names
        .filter((jti) => !revoked.includes(jti))
        .map((jti) => `${start}${jti}`)
        .sort(),
    );
    expect(await redis.client.expiretime(service)).toBe(living.exp + 6 + 5);
    expect(await stores.json('cache', 'reconcile')).toMatchObject({ ...NOTHING, entries: 2_501 });
    await redis.client.unlink(service);
  });

  test('ignores foreign keys and members with similar names', async () => {
    const { client, prefix } = redis;
    const [key] = await stores.query('SELECT id FROM keystore WHERE kid = ?', [living.kid]);
    const member = `${Number(key?.id).toString(36)}.${living.iat.toString(36)}.stale`;
    const similarNames = [
      ...[`${prefix}`, `${prefix}:`, `${prefix}x:{alice}`, `x${prefix}:{alice}`, `${prefix}:alice`],
      ...[`${prefix}:{}`, `${prefix}:{alice}x`, `${prefix}:{alice`, `${prefix}:{%61lice}`, `${prefix}:{%zz}`],
      ...[`${prefix}:{a b}`, `${prefix}:{%ff}`, `${prefix}:{alice}:metas`, `{${prefix}}:{alice}`],
    ];
    for (const name of similarNames) await client.zadd(name, living.exp, member, 5, 'old');
    await client.set(`${prefix}:{text}`, 'x');
    await client.set(`${prefix}:{text}:meta`, 'x');
    await client.hset(`${prefix}:{other}:meta`, 'theirs', 'x', 'A.b.c', 'y');
    await client.hset(`${prefix}:{hash}`, member, '1');
    await client.sadd(`${prefix}:{set}`, member);
    await client.rpush(`${prefix}:{list}`, member);
    await client.zadd(`${prefix}:{foreign}`, 5, 'old', living.exp, 'young', 7, 'A.b.c');
    const types = ['text', 'hash', 'set', 'list', 'foreign'].map((sub) => `${prefix}:{${sub}}`);
    const names = [...similarNames, ...types, `${prefix}:{text}:meta`, `${prefix}:{other}:meta`];
    const dumps = () => Promise.all(names.map((name) => client.dumpBuffer(name)));
    const before = await dumps();
    expect(before.every((dump) => dump !== null)).toBe(true);

    for (const words of [['-n'], []]) {
      const report = await stores.json('cache', 'reconcile', ...words);
      expect(report).toMatchObject({ ...NOTHING, dryRun: words.length > 0, entries: 1 });
    }
    expect(await dumps()).toEqual(before);

    // Foreign members stay in a set with a valid entry, and are removed with the set otherwise.
    await client.zadd(`${prefix}:{foreign}`, living.exp, member);
    await client.zadd(alice, living.exp, 'foreign', 5, 'old');
    await stores.json('token', 'revoke', '--sub', 'alice', '--jti', 'stale');
    await client.zadd(alice, living.exp, member);
    expect(await stores.json('cache', 'reconcile')).toMatchObject({
      ...{ dropped: { revoked: 1, keyNotTrusted: 0, userUnknown: 1 } },
    });
    expect(await client.exists(`${prefix}:{foreign}`)).toBe(0);
    expect(await client.zscore(alice, member)).toBeNull();
    expect(await client.zscore(alice, 'foreign')).toBe(String(living.exp));
    expect(await client.zscore(alice, 'old')).toBe('5');
    for (const name of names) await client.unlink(name);
    await client.zrem(alice, 'foreign', 'old');
  });
});
