import { createPublicKey } from 'node:crypto';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { cli } from '../../../support/cli.js';
import {
  encryptedOf,
  freshJwk,
  keyOf,
  type PrivateJwk,
  pkcs1Of,
  pkcs8Of,
  writeKeyFile,
} from '../../../support/private-keys.js';
import { openStores, type Stores } from '../../../support/stores.js';
import { runAtTerminal } from '../../../support/terminal.js';

/** Stands in for the prompts. */
const person = vi.hoisted(() => ({ answers: [] as string[] }));
vi.mock('../../../../src/adapters/prompt/inquirer-prompt.js', () => ({
  inquirerPrompt: { password: async () => person.answers.shift() },
}));

let stores: Stores;
let jwks: PrivateJwk[] = [];
const key = (index: number) => keyOf(jwks[index] as PrivateJwk);

beforeAll(async () => {
  jwks = Array.from({ length: 4 }, () => freshJwk());
  stores = await openStores('MariaDB and a Redis Cluster');
  await stores.query('CREATE TABLE `their keys` (kid varchar(64), private_key text, `public key` blob)');
  const rows: Array<[string | null, string, string]> = [
    ['2024', pkcs8Of(key(0)).replaceAll('\n', '\\n'), ''],
    [
      'did:web:a#2025',
      pkcs1Of(key(1)),
      createPublicKey(key(1)).export({ type: 'spki', format: 'pem' }).toString(),
    ],
    ['2026', JSON.stringify(jwks[2]), ''],
    ['encrypted', encryptedOf(key(3), 'pkcs8', 'correct horse'), ''],
    ['hmac', 'secret', ''],
    ['empty', '', ''],
  ];
  for (const row of rows) await stores.query('INSERT INTO `their keys` VALUES (?, ?, ?)', row as string[]);
});
afterAll(() => stores?.close());

const words = ['keys', 'import', '--table', 'their keys'];

test('imports the keys of a table, and skips rows without a key', async () => {
  writeKeyFile(stores.home, 'pass', 'correct horse');
  const flags = ['--passphrase-file', 'pass', '--sign', '2026'];
  const strict = await stores.run(...words, ...flags, '--strict', '--json');
  expect([strict.exitCode, strict.error().message]).toEqual([
    2,
    expect.stringContaining('row hmac of table their keys'),
  ]);

  const imported = await stores.run(...words, ...flags, '--json');
  expect(imported.exitCode).toBe(5);
  expect(imported.json()).toMatchObject([
    { kid: '2024', verifyOnly: true },
    { kid: 'did:web:a#2025', verifyOnly: true },
    { kid: '2026', state: 'active' },
    { kid: 'encrypted', verifyOnly: true },
    { kid: 'hmac', error: { code: 'ERR_PEM_INVALID', message: expect.stringContaining('HS256') } },
    { kid: 'empty', error: { message: expect.stringContaining('empty') } },
  ]);
  expect(await stores.query('SELECT count(*) AS n FROM `their keys`')).toEqual([{ n: 6 }]);
});

test('reads the passphrase of several keys once, and asks again only if it is wrong', async () => {
  await stores.query('CREATE TABLE locked (kid varchar(64), private_key text)');
  const pass = { one: 'correct horse', two: 'battery staple' };
  const rows = [
    ['a', encryptedOf(keyOf(freshJwk()), 'pkcs8', pass.one)],
    ['b', encryptedOf(keyOf(freshJwk()), 'pkcs1', pass.one)],
    ['c', encryptedOf(keyOf(freshJwk()), 'pkcs8', pass.two)],
  ];
  for (const row of rows) await stores.query('INSERT INTO locked VALUES (?, ?)', row);
  const dry = ['keys', 'import', '--table', 'locked', '--dry-run', '--json'];
  const piped = await stores.run(...dry, '--passphrase-file', '-', { stdin: pass.one });
  expect([piped.exitCode, piped.json()]).toMatchObject([
    5,
    [{ kid: 'a' }, { kid: 'b' }, { kid: 'c', error: { code: 'ERR_PASSPHRASE_WRONG' } }],
  ]);
  person.answers = [pass.one, pass.two];
  expect((await runAtTerminal(stores, ...dry)).json()).toMatchObject([
    { kid: 'a' },
    { kid: 'b' },
    { kid: 'c' },
  ]);
  expect(person.answers).toEqual([]);
});

test('reads other columns and schemas, and public keys', async () => {
  const [{ name } = {}] = await stores.query('SELECT database() AS name');
  const flags = ['--table', `${name}.their keys`, '--key-column', 'public key', '--public', '--json'];
  const { exitCode, json } = await stores.run('keys', 'import', ...flags);
  expect([exitCode, json()[0]]).toMatchObject([5, { kid: 'did:web:a#2025', verifyOnly: true }]);
});

test.each([
  [['--table', 'a.b.c'], 'ERR_FLAG_INVALID'],
  [['--table', 'a`; DROP TABLE keystore; --'], 'ERR_FLAG_INVALID'],
  [['--table', 'their keys', '--kid-column', 'a.b'], 'ERR_FLAG_INVALID'],
  [['--table', 'their keys', '--jwk', '-'], 'ERR_FLAG_COMBINATION'],
  [['--pem', '-', '--kid-column', 'kid'], 'ERR_FLAG_COMBINATION'],
])('refuses %j', async (flags, code) => {
  const { exitCode, error } = await stores.run('keys', 'import', ...flags, '--json');
  expect([exitCode, error().code]).toEqual([2, code]);
});

test.each([
  [['--table', 'absent'], /table absent does not exist/],
  [['--table', 'absent.absent'], /table absent.absent does not exist/],
  [['--table', 'their keys', '--key-column', 'absent'], /table their keys lacks the column kid or absent/],
])('names what is missing: %j', async (flags, expected) => {
  const { exitCode, error } = await stores.run('keys', 'import', ...flags, '--json');
  expect([exitCode, error()]).toMatchObject([
    2,
    { code: 'ERR_KEY_TABLE_UNREADABLE', message: expect.stringMatching(expected) },
  ]);
});

test('says that the account may not read the table', async () => {
  const url = new URL(String(stores.env.JWTCTL_MYSQL_URL));
  const schema = url.pathname.slice(1);
  const user = `keys${process.pid}`;
  await stores.query(`CREATE USER '${user}'@'%' IDENTIFIED BY 'secret'`);
  try {
    for (const { table } of await stores.query(
      `SELECT table_name AS \`table\` FROM information_schema.tables WHERE table_schema = '${schema}' AND table_name <> 'their keys'`,
    )) {
      await stores.query(`GRANT SELECT ON \`${schema}\`.\`${table}\` TO '${user}'@'%'`);
    }
    [url.username, url.password] = [user, 'secret'];
    const shell = cli({ env: { ...stores.env, JWTCTL_MYSQL_URL: url.href } });
    const { exitCode, error } = await shell.run(...words, '--json');
    expect([exitCode, error()]).toMatchObject([
      2,
      {
        message: expect.stringContaining('lacks permission to read'),
        hint: expect.stringContaining('GRANT SELECT'),
      },
    ]);
  } finally {
    await stores.query(`DROP USER '${user}'@'%'`);
  }
});

test('needs MySQL', async () => {
  const { exitCode, error } = await cli().run('keys', 'import', '--table', 'keys', '--json');
  expect([exitCode, error().code]).toEqual([2, 'ERR_KEY_TABLE_UNREADABLE']);
});
