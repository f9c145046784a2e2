import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { BACKENDS, openStores, type Stores } from '../../../support/stores.js';

describe.each(BACKENDS)('claims and meta, on %s', (backend) => {
  let stores: Stores;

  beforeAll(async () => {
    stores = await openStores(backend);
    await stores.json('keys', 'generate');
    await stores.json('users', 'add', 'alice');
  });
  afterAll(() => stores?.close());

  type Word = string | { stdin: string };

  /** Issues a token with these flags. Returns its Claims Set without the claims that every token has. */
  async function claimsOf(...words: Word[]): Promise<Record<string, unknown>> {
    const { token } = await stores.json('token', 'issue', '--sub', 'alice', ...words);
    const { payload } = await stores.json('token', 'verify', token);
    const { iss, sub, aud, iat, exp, jti, ...rest } = payload;
    expect({ iss, sub, aud, ttl: exp - iat }).toEqual({
      iss: 'jwtctl',
      sub: 'alice',
      aud: 'user',
      ttl: 3_600,
    });
    expect(jti).toMatch(/^[A-Za-z0-9]/);
    return rest;
  }

  async function refusalOf(...words: Word[]) {
    const { exitCode, stdout, error } = await stores.run(
      'token',
      'issue',
      '--sub',
      'alice',
      '--json',
      ...words,
    );
    return { exitCode, stdout, code: error().code };
  }

  test('a claim value is parsed as JSON if possible, and is text otherwise', async () => {
    const flags = [
      'a=b=c',
      'n=1',
      's="1"',
      'list=[1,2]',
      'o={"p":null}',
      'yes=true',
      'text=hello world',
      'empty=',
    ];
    expect(await claimsOf(...flags.flatMap((flag) => ['--claim', flag]))).toEqual({
      ...{ a: 'b=c', n: 1, s: '1', list: [1, 2], o: { p: null }, yes: true, text: 'hello world', empty: '' },
    });
    expect(await claimsOf('--claim', 'role=user', '--claim', 'role=admin')).toEqual({ role: 'admin' });
  });

  test('a claim named __proto__ is an ordinary claim', async () => {
    const claims = await claimsOf('--claim', '__proto__=1', '--claim', 'constructor={"x":1}');
    expect(Object.entries(claims)).toEqual([
      ['__proto__', 1],
      ['constructor', { x: 1 }],
    ]);
    expect(
      Object.entries(await claimsOf('--claims', '-', { stdin: '{"__proto__":{"admin":true}}' })),
    ).toEqual([['__proto__', { admin: true }]]);
  });

  test('--claim overrides claims from standard input or a file', async () => {
    const file = join(stores.home, 'claims.json');
    writeFileSync(file, '{"role":"user","tenant":"t1"}\n');
    expect(await claimsOf('--claims', '-', { stdin: '{"role":"admin"}\n' })).toEqual({ role: 'admin' });
    expect(await claimsOf('--claims', file)).toEqual({ role: 'user', tenant: 't1' });
    expect(await claimsOf('--claims', `@${file}`, '--claim', 'role=admin')).toEqual({
      role: 'admin',
      tenant: 't1',
    });
  });

  test.each(['iss', 'sub', 'aud', 'exp', 'nbf', 'iat', 'jti'])(
    'the registered claim %s is refused',
    async (claim) => {
      const refused = { exitCode: 2, stdout: '', code: 'ERR_CLAIM_RESERVED' };
      expect(await refusalOf('--claim', `${claim}=x`)).toEqual(refused);
      expect(await refusalOf('--claims', '-', { stdin: `{"${claim}":1}` })).toEqual(refused);
    },
  );

  test.each(['[1]', '"x"', '1', 'null', '', '{', '{"a":1} x', 'role=admin'])(
    'the claims %s are refused',
    async (text) => {
      expect(await refusalOf('--claims', '-', { stdin: text })).toMatchObject({ exitCode: 2, stdout: '' });
    },
  );

  test.each(['x', '=x', ''])('the flag --claim %j is refused', async (flag) => {
    expect(await refusalOf(`--claim=${flag}`)).toMatchObject({ exitCode: 2, stdout: '' });
  });

  test('a missing claims file is refused', async () => {
    expect(await refusalOf('--claims', '@no-such-file')).toMatchObject({ exitCode: 2, stdout: '' });
  });

  test('--meta is repeated, and `token list --where` filters by it', async () => {
    const [phone, laptop] = [
      ['--meta', 'device=phone', '--meta', 'ip=192.0.2.1'],
      ['--meta', 'device=laptop', '--meta', 'note=a=b'],
    ];
    for (const flags of [phone, laptop]) await stores.json('token', 'issue', '--sub', 'alice', ...flags);
    const list = async (...where: string[]) => {
      const flags = where.flatMap((pair) => ['--where', pair]);
      const found: Array<{ meta: unknown }> = await stores.json('token', 'list', '--sub', 'alice', ...flags);
      return found.map(({ meta }) => meta);
    };
    expect(await list('device=phone')).toEqual([{ device: 'phone', ip: '192.0.2.1' }]);
    expect(await list('device=laptop', 'note=a=b')).toEqual([{ device: 'laptop', note: 'a=b' }]);
    expect(await list('device=phone', 'note=a=b')).toEqual([]);
    expect(await list('toString=x')).toEqual([]);
    const { stdout } = await stores.run('token', 'list', '--sub', 'alice', '--where', 'device=phone');
    expect(stdout).toContain('device=phone, ip=192.0.2.1');
  });

  test.each([
    ['is not name=value', ['phone'], 'ERR_FLAG_INVALID'],
    ['has no name', ['=phone'], 'ERR_FLAG_INVALID'],
    ['repeats a name', ['a=1', 'a=2'], 'ERR_FLAG_INVALID'],
    ['has a line break', ['a=x\ny'], 'ERR_META_INVALID'],
    ['has nine pairs', [...'123456789'].map((name) => `${name}=x`), 'ERR_META_INVALID'],
    ['is too long', [`a=${'é'.repeat(253)}`], 'ERR_META_INVALID'],
  ])('--meta that %s is refused', async (_, pairs, code) => {
    const flags = pairs.flatMap((pair) => ['--meta', pair]);
    expect(await refusalOf(...flags)).toEqual({ exitCode: 2, stdout: '', code });
  });

  test('meta of exactly 512 bytes is accepted', async () => {
    await stores.json('token', 'issue', '--sub', 'alice', '--meta', `a=${'é'.repeat(252)}`);
  });

  test('token decode shows texts in quotes, and numbers without', async () => {
    const encode = (part: object) => Buffer.from(JSON.stringify(part)).toString('base64url');
    const token = `${encode({ alg: 'RS256' })}.${encode({ sub: 3, id: '3', exp: 1_700_000_000 })}.AAAA`;
    const { stdout } = await stores.run('token', 'decode', '-', { stdin: token });
    expect(stdout).toMatch(/^alg +"RS256"$/m);
    expect(stdout).toMatch(/^sub +3$/m);
    expect(stdout).toMatch(/^id +"3"$/m);
    expect(stdout).toMatch(/^exp +1700000000 \(2023-11-14T22:13:20Z\)$/m);
  });

  test.each(['constructor', '__proto__', 'toString'])('%s is text like any other', async (word) => {
    const issued = await stores.run('token', 'issue', '--sub', 'alice', '--claim', `role=${word}`);
    expect([issued.exitCode, issued.stderr.includes('role')]).toEqual([0, false]);
    expect(await claimsOf('--claim', `role=${word}`)).toEqual({ role: word });
  });

  test('a lifetime above token.maxTtl is refused', async () => {
    const { iat, exp } = await stores.json('token', 'issue', '--sub', 'alice', '--ttl', '24h');
    expect(exp - iat).toBe(86_400);
    expect(await refusalOf('--ttl', '86401')).toEqual({ exitCode: 2, stdout: '', code: 'ERR_TTL_TOO_LONG' });
    expect(await refusalOf('--not-before', '1h', '--ttl', '1h')).toMatchObject({ exitCode: 2, stdout: '' });
    expect(await refusalOf('--aud', '')).toMatchObject({ exitCode: 2, stdout: '' });
  });

  test('no refused request registers a token', async () => {
    const before = (await stores.json('cache', 'inspect')).entries;
    await refusalOf('--ttl', '25h');
    await refusalOf('--claim', 'sub=x');
    expect((await stores.json('cache', 'inspect')).entries).toBe(before);
  });

  test('--create-user adds the user, but not for a refused request', async () => {
    expect(
      (await stores.run('token', 'issue', '--sub', 'new', '--create-user', '--ttl', '25h')).exitCode,
    ).toBe(2);
    expect((await stores.run('users', 'show', 'new')).exitCode).toBe(3);
    expect((await stores.run('token', 'issue', '--sub', 'new')).exitCode).toBe(3);
    await stores.json('token', 'issue', '--sub', 'new', '--create-user');
    await stores.json('token', 'issue', '--sub', 'new', '--create-user');
    expect(await stores.json('token', 'list', '--sub', 'new')).toHaveLength(2);
  });
});
