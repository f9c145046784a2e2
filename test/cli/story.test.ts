import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { BACKENDS, openStores, type Stores } from '../support/stores.js';

const KEY_FIELDS = [
  ...['kid', 'alg', 'bits', 'state', 'verifyOnly', 'masterKeyId', 'createdAt', 'activatedAt', 'retiringAt'],
  ...['verifyUntil', 'retiredAt', 'compromisedAt'],
];
const HOUR = 3_600;

/** The life of a token service. Each test continues after the one before it. */
describe.each(BACKENDS)('the story of a token on %s', (backend) => {
  let stores: Stores;
  let firstKid = '';
  let secondKid = '';
  let oldToken = '';
  let newToken = '';
  let oldJti = '';

  beforeAll(async () => {
    stores = await openStores(backend, {}, { leastRights: true });
  });
  afterAll(() => stores?.close());

  test('the first key is active at once', async () => {
    const key = await stores.json('keys', 'generate');

    expect(Object.keys(key)).toEqual(KEY_FIELDS);
    const now = stores.clock.now();
    expect(key).toMatchObject({
      alg: 'RS256',
      bits: 2048,
      state: 'active',
      createdAt: now,
      activatedAt: now,
    });
    expect(key).toMatchObject({ retiringAt: null, verifyUntil: null, retiredAt: null, compromisedAt: null });
    expect(key.masterKeyId).toEqual(expect.any(String));
    expect(key.kid).toMatch(/^\w[\w-]{42}$/);
    firstKid = key.kid;
  });

  test('a user is added, shown and listed with the same fields', async () => {
    const at = stores.clock.now();
    const alice = {
      sub: 'alice',
      name: 'Alice Doe',
      status: 'enabled',
      disabledUntil: null,
      createdAt: at,
      updatedAt: at,
    };

    expect(await stores.json('users', 'add', 'alice', '--name', 'Alice Doe')).toEqual(alice);
    expect(await stores.json('user', 'show', 'alice')).toEqual(alice);
    expect(await stores.json('users', 'list')).toEqual([alice]);
  });

  test('an existing user is not added again', async () => {
    const { exitCode, stdout, error } = await stores.run('users', 'add', 'alice', '--json');

    expect({ exitCode, stdout, code: error().code }).toEqual({
      exitCode: 3,
      stdout: '',
      code: 'ERR_USER_EXISTS',
    });
  });

  test('issuing prints the token and everything that identifies it', async () => {
    const issued = await stores.json(
      'token',
      'issue',
      '--sub',
      'alice',
      '--claim',
      'role=admin',
      '--meta',
      'device=phone',
    );

    expect(Object.keys(issued)).toEqual(['token', 'jti', 'kid', 'sub', 'aud', 'iat', 'exp']);
    const iat = stores.clock.now();
    expect(issued).toMatchObject({ kid: firstKid, sub: 'alice', aud: 'user', iat, exp: iat + HOUR });
    oldToken = issued.token;
    oldJti = issued.jti;
  });

  test('decoding shows header and payload, and says that nothing was verified', async () => {
    const decoded = await stores.run('tokens', 'decode', '-', '--json', { stdin: `${oldToken}\n` });

    expect(decoded.json()).toEqual({
      header: { alg: 'RS256', typ: 'JWT', kid: firstKid },
      payload: {
        ...{ iss: 'jwtctl', sub: 'alice', aud: 'user', role: 'admin', jti: oldJti },
        ...{ iat: stores.clock.now(), exp: stores.clock.now() + HOUR },
      },
      signature: oldToken.split('.')[2],
    });
    expect(decoded.stderr).toMatch(/not verified/i);
    const table = await stores.run('token', 'decode', oldToken);
    expect(table.stdout).toMatch(/not verified/i);
    expect(table.stdout).toContain(new Date((stores.clock.now() + HOUR) * 1000).toISOString().slice(0, 19));
  });

  test('the token verifies', async () => {
    const verified = await stores.json('token', 'verify', '-', { stdin: `${oldToken}\n` });

    expect(Object.keys(verified)).toEqual(['active', 'kid', 'header', 'payload']);
    expect(verified).toMatchObject({
      active: true,
      kid: firstKid,
      header: { kid: firstKid, alg: 'RS256' },
      payload: { sub: 'alice', jti: oldJti, role: 'admin' },
    });
  });

  test('the live tokens of the user are listed', async () => {
    const iat = stores.clock.now();
    expect(await stores.json('token', 'list', '--sub', 'alice')).toEqual([
      {
        ...{ jti: oldJti, kid: firstKid, sub: 'alice', iat, exp: iat + HOUR },
        ...{ refreshExp: null, lastSeen: null, idle: false, meta: { device: 'phone' } },
      },
    ]);
  });

  test('the registry is inspected', async () => {
    const report = await stores.json('cache', 'inspect');

    expect(Object.keys(report)).toEqual([
      ...[
        'backend',
        'prefix',
        'complete',
        'entries',
        'subjects',
        'bytes',
        'bytesEstimated',
        'byKid',
        'byNode',
        'ttl',
      ],
      ...['expiry', 'topSubjects', 'anomalies'],
    ]);
    expect(report).toMatchObject({
      backend: stores.isCluster ? 'redis-cluster' : 'sqlite',
      complete: true,
      entries: 1,
      subjects: 1,
      byKid: [{ kid: firstKid, state: 'active', entries: 1 }],
      topSubjects: [{ sub: 'alice', entries: 1 }],
      anomalies: { noTtl: null, ttlMismatch: null, unknownKid: 0, unknownUser: null, malformed: 0 },
    });
    for (const row of report.byNode) {
      expect(Object.keys(row)).toEqual(['node', 'role', 'slots', 'entries', 'usedMemoryBytes']);
    }
    const bars = report.ttl.map((bar: { leSeconds: number | null; entries: number }) => bar.entries);
    expect(bars.reduce((sum: number, entries: number) => sum + entries, 0)).toBe(1);
  });

  test('a rotation that is not due publishes the next key and changes no signer', async () => {
    const first = await stores.json('keys', 'rotate');
    expect(first).toMatchObject({ rotated: false, reason: 'published', active: firstKid, previous: null });
    secondKid = first.pending;
    expect(first.signsFrom).toBe(stores.clock.now() + 30 * 24 * HOUR);

    const again = await stores.json('keys', 'rotate');
    expect(again).toEqual({ ...first, reason: 'not_due' });
  });

  test('the next key becomes active when it is due and its publish lead is over', async () => {
    const waiting = await stores.json('keys', 'rotate', '--if-older-than', '1s');
    expect(waiting).toMatchObject({ rotated: false, active: firstKid });
    stores.clock.advance(11 * 60);

    const rotated = await stores.json('keys', 'rotate', '--if-older-than', '1m');

    expect(Object.keys(rotated)).toEqual([
      ...['rotated', 'reason', 'active', 'previous', 'pending', 'signsFrom', 'retired', 'stragglers'],
      'awaitsPublication',
    ]);
    expect(rotated).toMatchObject({ rotated: true, reason: 'due', active: secondKid, previous: firstKid });
    expect(rotated.retired).toEqual([]);
  });

  test('the old token still verifies, and a new one uses the new key', async () => {
    const issued = await stores.json('token', 'issue', '--sub', 'alice');
    newToken = issued.token;

    expect(issued.kid).toBe(secondKid);
    expect(await stores.json('token', 'verify', oldToken)).toMatchObject({ active: true });
    expect(await stores.json('token', 'verify', newToken)).toMatchObject({ active: true });
    const states = (await stores.json('keys', 'list')).map((key: { state: string }) => key.state);
    expect(states).toEqual(['retiring', 'active', 'pending']);
    const old = await stores.json('keys', 'show', firstKid);
    expect(Object.keys(old)).toEqual([...KEY_FIELDS, 'jwk']);
    expect(old.verifyUntil).toBeGreaterThanOrEqual(stores.clock.now() + 24 * HOUR);
  });

  test('a revoked token is refused, and revoking it again is no error', async () => {
    const words = ['token', 'revoke', oldToken, '--reason', 'lost phone', '--actor', 'ops@desk'];
    expect(await stores.json(...words)).toMatchObject({
      revoked: 1,
      alreadyGone: 0,
      replicasConfirmed: stores.isCluster ? 1 : 0,
    });
    expect(await stores.json(...words)).toMatchObject({ revoked: 0, alreadyGone: 1, replicasConfirmed: 0 });

    const refused = await stores.run('token', 'verify', oldToken, '--json');
    expect(refused.exitCode).toBe(1);
    expect(refused.json()).toEqual({
      active: false,
      error: { code: 'ERR_TOKEN_REVOKED', message: expect.any(String) },
      reason: 'Authorization Failure',
    });
    expect(await stores.json('token', 'verify', newToken)).toMatchObject({ active: true });
  });

  test('a dry run of a flush shows what it would remove', async () => {
    expect(await stores.json('cache', 'flush', '--sub', 'alice', '--dry-run')).toMatchObject({
      ...{ matched: 1, removed: 0, dryRun: true, complete: true, backup: null },
    });
    expect(await stores.json('token', 'verify', newToken)).toMatchObject({ active: true });
  });

  test('a flush removes every entry, and reports the node', async () => {
    const flushed = await stores.json('cache', 'flush', '--all', '--yes');

    expect(flushed).toMatchObject({ matched: 1, removed: 1, dryRun: false, complete: true, backup: null });
    expect(Object.keys(flushed)).toEqual(expect.arrayContaining(['byNode', 'byKid', 'subjects']));
    const removed = flushed.byNode.map((row: { removed: number }) => row.removed);
    expect(removed.reduce((sum: number, count: number) => sum + count, 0)).toBe(1);
    const refused = await stores.run('token', 'verify', newToken, '--json');
    expect({ exitCode: refused.exitCode, code: refused.json().error.code }).toEqual({
      exitCode: 1,
      code: 'ERR_TOKEN_NOT_REGISTERED',
    });
  });

  test('a removed user is unknown', async () => {
    expect(await stores.json('users', 'remove', 'alice', '--yes')).toMatchObject({ sub: 'alice' });
    expect((await stores.run('users', 'show', 'alice')).exitCode).toBe(3);
    expect(await stores.json('users', 'list')).toEqual([]);
  });
});
