import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { keyIds, plant } from '../../../support/planted-entries.js';
import { BACKENDS, openStores, type Stores } from '../../../support/stores.js';

describe.each(BACKENDS)('cache get, on %s', (backend) => {
  let stores: Stores;
  let issued: { jti: string; iat: number; exp: number };
  let now = 0;

  beforeAll(async () => {
    stores = await openStores(backend);
    await stores.json('keys', 'generate', '--kid', 'k1');
    await stores.json('keys', 'generate', '--kid', 'k2');
    now = stores.clock.now();
    issued = await stores.json('token', 'issue', '--sub', 'alice', '--meta', 'device=phone', '--create-user');
    const { k1 = 0, k2 = 0 } = await keyIds(stores);
    const entry = { jti: 'twice', iat: now - 10, exp: now + 3_600 };
    await plant(stores, 'bob', [
      { ...entry, keyId: k1 },
      { ...entry, keyId: k2, exp: now + 60 },
      { ...entry, keyId: k2, iat: now - 20 },
      { ...entry, keyId: 4_242, jti: 'orphan', exp: now - 2 },
    ]);
  });
  afterAll(() => stores?.close());

  const get = (sub: string, jti: string, ...words: string[]) =>
    stores.run('cache', 'get', '--sub', sub, '--jti', jti, ...words, '--json');

  test('shows an entry with its key, user, and node', async () => {
    const { json } = await get('alice', issued.jti);
    const [holder] =
      stores.redis === null
        ? [[expect.stringContaining('jwtctl.db')]]
        : [...(await stores.redis.keys())].filter(([, keys]) => keys.some((key) => key.endsWith('{alice}')));
    expect(json()).toEqual({
      ...{ sub: 'alice', jti: issued.jti, kid: 'k1', state: 'active', iat: issued.iat, exp: issued.exp },
      ...{ ttlSeconds: 3_600, meta: { device: 'phone' }, node: holder?.[0], userStatus: 'enabled' },
      cachedUser: { status: 'enabled', version: 1, until: now + 60 },
    });
  });

  test('shows an unknown key and user, and no negative time', async () => {
    expect((await get('bob', 'orphan')).json()).toMatchObject({
      ...{ kid: null, state: null, ttlSeconds: 0, meta: null, userStatus: 'unknown', cachedUser: null },
    });
  });

  test('prints the jti with --quiet, and a line of JSON with ndjson', async () => {
    const words = ['cache', 'get', '--sub', 'alice', '--jti', issued.jti];
    expect((await stores.run(...words, '-q')).stdout).toBe(`${issued.jti}\n`);
    expect(JSON.parse((await stores.run(...words, '-o', 'ndjson')).stdout)).toMatchObject({ sub: 'alice' });
    const { stdout } = await stores.run(...words);
    expect(stdout).toMatch(/^key state +active$/m);
    expect(stdout).toMatch(/ enabled, expires in 1m$/m);
  });

  test.each([
    ['alice', 'nothing'],
    ['zoe', 'twice'],
    ['bob', ''],
  ])('refuses an unknown entry: %s %s', async (sub, jti) => {
    const { exitCode, stdout, error } = await get(sub, jti);
    expect({ exitCode, stdout, code: error().code }).toEqual({
      ...{ exitCode: 3, stdout: '', code: 'ERR_ENTRY_NOT_FOUND' },
    });
  });

  test('refuses an ambiguous jti, and lists the key and time of issue of each entry', async () => {
    const several = await get('bob', 'twice');
    expect({ exitCode: several.exitCode, stdout: several.stdout }).toEqual({ exitCode: 3, stdout: '' });
    expect(several.error()).toMatchObject({ code: 'ERR_ENTRY_AMBIGUOUS' });
    expect(several.error().message).toContain('k2 issued at');

    expect((await get('bob', 'twice', '--kid', 'k1')).json()).toMatchObject({ kid: 'k1', exp: now + 3_600 });
    expect((await get('bob', 'twice', '--kid', 'k2')).exitCode).toBe(3);
    const earlier = await get('bob', 'twice', '--kid', 'k2', '--iat', String(now - 20));
    expect(earlier.json()).toMatchObject({ kid: 'k2', iat: now - 20 });
    expect((await get('bob', 'twice', '--kid', 'nowhere')).error().code).toBe('ERR_KEY_UNKNOWN');
  });

  test.each([
    ['cache', 'get', '--sub', 'alice'],
    ['cache', 'get', '--jti', 'j'],
    ['cache', 'get', '--sub', '', '--jti', 'j'],
    ['cache', 'get', '--sub', 'alice', '--jti', 'j', '--iat', 'yesterday'],
  ])('requires a complete name: %s %s %s', async (...words) => {
    const { exitCode, stdout } = await stores.run(...words, '--json');
    expect({ exitCode, stdout }).toEqual({ exitCode: 2, stdout: '' });
  });
});
