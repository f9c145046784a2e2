import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { openStores, type Stores } from '../support/stores.js';

describe('files of many records', () => {
  let stores: Stores;

  beforeAll(async () => {
    stores = await openStores('SQLite');
    await stores.json('keys', 'generate');
  });
  afterAll(() => stores?.close());

  function file(name: string, content: string): string {
    const path = join(stores.home, name);
    writeFileSync(path, content);
    return path;
  }

  async function subjects(): Promise<string[]> {
    return (await stores.json('users', 'list')).map(({ sub }: { sub: string }) => sub);
  }

  test.each([
    ['users.csv', 'sub,name\na-1,A\n'],
    ['users.txt', 'Sub,Name\na-2,A\n'],
    ['users.tsv', 'SUB\tName\na-3\tA\n'],
    ['excel.csv', '\uFEFFSub;Name\r\na-4;A\r\n'],
    ['spaces', ' SUB ; Name\na-5 ; A\n'],
    ['plain.txt', 'a-6\n'],
    ['users.ndjson', '{"sub":"a-7","name":"A"}\n'],
    ['objects', '{"sub":"a-8","name":"A"}\n'],
    ['one-column', '"sub"\r\n"a-9"\r\n'],
    ['order.csv', 'name,sub\nA,a-10\n'],
  ])('%s gives the same user to users import and to token issue --create-user', async (name, content) => {
    const path = file(name, content);
    const [, sub = ''] = /(a-\d+)/.exec(content) ?? [];
    const before = await subjects();
    const issued = await stores.run('token', 'issue', '--sub-file', path, '--create-user', '--json');
    expect(issued.exitCode).toBe(0);
    expect(issued.json()).toMatchObject([{ sub }]);
    expect(await stores.json('users', 'import', path)).toMatchObject({ existing: 1, added: 0, failed: 0 });
    expect(await subjects()).toEqual([...before, sub].sort());
  });

  test('the columns of a CSV are the members of an object', async () => {
    const path = file('columns.csv', 'Sub,AUD,ttl,notbefore\nb-1,api,15m,5\nb-2,,,\n');
    const { stdout } = await stores.run('token', 'issue', '--sub-file', path, '--create-user', '-q');
    const [first, second] = await Promise.all(
      stdout
        .trim()
        .split('\n')
        .map((token) => stores.json('token', 'decode', token)),
    );
    const { iat } = first.payload;
    expect(first.payload).toMatchObject({ sub: 'b-1', aud: 'api', nbf: iat + 5, exp: iat + 900 });
    expect(second.payload).toMatchObject({ sub: 'b-2', aud: 'user', exp: iat + 3_600 });
  });

  test.each(['login,name\nx,y\n', 'Username\nx\n', 'sub;status\nx;disabled\n', 'email\tname\nx\ty\n'])(
    'the wrong header of %j gives one error and no table, and changes nothing',
    async (content) => {
      const path = file('wrong', content);
      const before = await stores.content();
      for (const command of [
        ['users', 'import', path],
        ['token', 'issue', '--sub-file', path, '--create-user'],
      ]) {
        const { exitCode, stdout, stderr } = await stores.run(...command);
        expect({ exitCode, stdout }).toEqual({ exitCode: 2, stdout: '' });
        expect(stderr.match(/The header is/g)).toHaveLength(1);
      }
      expect(await stores.content()).toBe(before);
    },
  );

  test.each<[string, (token: string) => string, string[]]>([
    ['tokens.csv', (token) => `token\n${token}\n`, []],
    ['database.csv', (token) => `id;JWT;created_at\n1;${token};2026-01-01\n`, []],
    ['tokens', (token) => `token\n${token}\n`, []],
    ['tokens.ndjson', (token) => `{"token":"${token}"}\n`, []],
    ['tokens.txt', (token) => `${token}\n`, []],
    ['export.txt', (token) => `"token","user"\n"${token}","1"\n`, ['--format', 'csv']],
    ['list.csv', (token) => `${token}\n`, ['--format', 'text']],
  ])('token register reads %s', async (name, contentOf, flags) => {
    const { token, jti } = await stores.json('token', 'issue', '--sub', 'a-6');
    const path = file(name, contentOf(token));
    const { exitCode, stdout } = await stores.run('token', 'register', '--token-file', path, ...flags);
    expect([exitCode, JSON.parse(stdout).jti]).toEqual([0, jti]);
  });

  test('--format of token register needs --token-file', async () => {
    const { exitCode, error } = await stores.run('token', 'register', 'x', '--format', 'csv', '--json');
    expect([exitCode, error().code]).toEqual([2, 'ERR_FLAG_COMBINATION']);
  });

  test('a wrong kind of file gives one error, not one for each line', async () => {
    const path = file('README.md', '# jwtctl\n\nOperate.\n\n## Install\n\nnpm install\n'.repeat(20));
    const { exitCode, stdout, stderr } = await stores.run('token', 'register', '--token-file', path);
    expect({ exitCode, stdout }).toEqual({ exitCode: 2, stdout: '' });
    expect(stderr).toContain('is not a list of tokens');
    expect(stderr).not.toMatch(/Line \d|ERR_/);
  });
});
