import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { BACKENDS, openStores, type Stores } from '../support/stores.js';

describe.each(BACKENDS)('output formats on %s', (backend) => {
  let stores: Stores;
  let kid = '';
  let token = '';
  let jti = '';

  beforeAll(async () => {
    stores = await openStores(backend, {}, { leastRights: true });
    kid = (await stores.json('keys', 'generate')).kid;
    for (const sub of ['alice', 'bob']) await stores.json('users', 'add', sub);
    const issued = await stores.json('token', 'issue', '--sub', 'alice', '--meta', 'device=Büro');
    token = issued.token;
    jti = issued.jti;
  });
  afterAll(() => stores?.close());

  test('issue prints only the token', async () => {
    const { stdout, exitCode } = await stores.run('token', 'issue', '--sub', 'bob');

    expect(exitCode).toBe(0);
    expect(stdout).toMatch(/^[\w-]+\.[\w-]+\.[\w-]+\n$/);
  });

  test.each([
    { words: ['keys', 'list'], ids: () => [kid] },
    { words: ['keys', 'list', '--state', 'pending'], ids: () => [] },
    { words: ['keys', 'show', 'KID'], ids: () => [kid] },
    { words: ['users', 'list'], ids: () => ['alice', 'bob'] },
    { words: ['users', 'show', 'bob'], ids: () => ['bob'] },
    { words: ['token', 'list', '--sub', 'alice'], ids: () => [jti] },
  ])('$words --quiet prints only ids', async ({ words, ids }) => {
    const asked = words.map((word) => (word === 'KID' ? kid : word));
    const { lines, stderr, exitCode } = await stores.run('-q', ...asked);

    expect({ lines: lines(), stderr, exitCode }).toEqual({ lines: ids(), stderr: '', exitCode: 0 });
  });

  test('generate --quiet prints the new kid', async () => {
    const { lines } = await stores.run('keys', 'generate', '-q');

    expect(await stores.json('keys', 'show', lines()[0] ?? '')).toMatchObject({ state: 'pending' });
  });

  test('ndjson prints one object per line', async () => {
    const listed = await stores.run('users', 'list', '-o', 'ndjson');

    expect(listed.lines().map((line) => JSON.parse(line).sub)).toEqual(['alice', 'bob']);
    const keys = await stores.run('--output', 'ndjson', 'keys', 'list');
    expect(keys.lines().map((line) => JSON.parse(line).kid)).toContain(kid);
    expect((await stores.run('token', 'list', '--sub', 'zoe', '-o', 'ndjson')).stdout).toBe('');
  });

  test('--output=json and --json are the same', async () => {
    const short = await stores.run('keys', 'list', '--json');

    for (const words of [['-o', 'json'], ['--output', 'json'], ['--output=json'], ['-ojson']]) {
      expect((await stores.run(...words, 'keys', 'list')).stdout).toBe(short.stdout);
      expect((await stores.run('keys', 'list', ...words)).stdout).toBe(short.stdout);
    }
    expect(short.stderr).toBe('');
  });

  test('generate prints an object, and an array with --count', async () => {
    const made = await stores.json('keys', 'generate', '--count', '2');

    expect(made.map((key: { state: string }) => key.state)).toEqual(['pending', 'pending']);
    expect(await stores.json('keys', 'generate', '--count', '1')).toHaveLength(1);
    const own = await stores.json('key', 'generate', '--kid', '2026-q1', '--alg', 'PS256', '--bits', '3072');
    expect(own).toMatchObject({ kid: '2026-q1', alg: 'PS256', bits: 3072 });
  });

  test('a table shows ids and states', async () => {
    expect((await stores.run('keys', 'list')).stdout).toMatch(new RegExp(`${kid}.*active.*RS256.*2048`));
    expect((await stores.run('users', 'list')).stdout).toMatch(/^alice.*enabled/m);
    expect((await stores.run('token', 'list', '--sub', 'alice')).stdout).toMatch(new RegExp(`${jti}.*Büro`));
    const verified = await stores.run('token', 'verify', token);
    expect(verified.stdout).toMatch(/active\s+yes/);
    expect((await stores.run('cache', 'inspect')).stdout).toContain(kid);
    expect((await stores.run('cache', 'nodes')).exitCode).toBe(0);
  });

  test('a table shows the phrase and the code of a refusal', async () => {
    const { stdout, exitCode } = await stores.run('token', 'verify', `${token}x`);

    expect(exitCode).toBe(1);
    expect(stdout).toContain('Invalid Token');
    expect(stdout).toMatch(/ERR_[A-Z_]+/);
  });

  test('a notice on stderr names the embedded store, except for programs', async () => {
    const notices = async (...words: string[]) =>
      (await stores.run(...words)).stderr.split('\n').filter((line) => line.includes('JWTCTL_REDIS_NODES'));

    expect(await notices('keys', 'list')).toHaveLength(stores.isCluster ? 0 : 1);
    expect(await notices('keys', 'list', '--json')).toEqual([]);
    expect(await notices('keys', 'list', '-q')).toEqual([]);
    expect(await notices('keys', 'list', '-o', 'ndjson', '-q')).toEqual([]);
  });
});
