import { createHmac, type KeyObject } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { authenticate } from '../../src/http/authenticate-request.js';
import { cli } from '../support/cli.js';
import { freshJwk, keyOf, pkcs8Of } from '../support/private-keys.js';
import { encodePart, rsaPair, signJws } from '../support/signing.js';
import { openStores, type Stores } from '../support/stores.js';

describe('a refused registration says what to do', () => {
  let stores: Stores;
  let key: KeyObject;

  beforeAll(async () => {
    stores = await openStores('SQLite', { JWTCTL_TOKEN_ACCEPT_LEGACY: '2999-12-31' });
    key = keyOf(freshJwk());
    await stores.json('keys', 'import', '--pem', '-', '--kid', 'theirs', { stdin: pkcs8Of(key) });
    await stores.json('keys', 'import', '--pem', '-', '--kid', 'others', {
      stdin: pkcs8Of(keyOf(freshJwk())),
    });
    await stores.json('users', 'add', 'alice');
  });
  afterAll(() => stores?.close());

  const claims = (more: object = {}) => ({ sub: 'alice', exp: stores.clock.now() + 600, ...more });
  const signed = (more: object = {}, privateKey = key) =>
    signJws({ privateKey }, { alg: 'RS256' }, claims(more));

  async function refusalOf(stdin: string, shell: Pick<Stores, 'run'> = stores) {
    const { exitCode, error } = await shell.run('token', 'register', '--legacy', '-', '--json', { stdin });
    expect(exitCode).toBe(1);
    return error();
  }

  test('if it is signed with HMAC', async () => {
    const input = `${encodePart({ alg: 'HS256' })}.${encodePart(claims())}`;
    const token = `${input}.${createHmac('sha256', 'secret').update(input).digest('base64url')}`;
    expect(await refusalOf(token)).toMatchObject({
      message: "The token's alg is HS256; jwtctl verifies only RS256, RS384, RS512, PS256, PS384, PS512.",
      hint: 'Tokens signed with HMAC or ECDSA cannot be registered: let them expire.',
    });
  });

  test('if no key made its signature', async () => {
    const { message, hint } = await refusalOf(await signed({}, rsaPair().privateKey));
    expect(message).toBe('The signature was made by none of the keys for RS256 (theirs, others).');
    expect(hint).toContain('jwtctl keys import --verify-only');
  });

  test('if its signature is cut off', async () => {
    const token = await signJws({ privateKey: key }, { alg: 'RS256', kid: 'theirs' }, claims());
    const { message } = await refusalOf(token.slice(0, token.lastIndexOf('.') + 1 + 40));
    expect(message).toContain('The signature is cut off: it has 30 bytes, but one of key theirs has 256.');
  });

  test('if its algorithm is not that of an imported key', async () => {
    const token = await signJws({ privateKey: key }, { alg: 'RS512' }, claims(), 'RS512');
    expect((await refusalOf(token)).hint).toContain('--alg RS512');
  });

  test('if its iss or aud differs', async () => {
    expect((await refusalOf(await signed({ iss: 'other' }))).message).toBe(
      `The token's iss is not 'jwtctl'. It is "other".`,
    );
    expect((await refusalOf(await signed({ aud: ['a', 'b'] }))).message).toBe(
      `The token's aud does not contain 'user'. It is ["a","b"].`,
    );
  });

  test('if the table of users has no row for it', async () => {
    await stores.query('CREATE TABLE people (id TEXT)');
    const env = { JWTCTL_USERS_SOURCE: 'table', JWTCTL_USERS_TABLE: 'people', JWTCTL_USERS_COLUMN: 'id' };
    const shell = cli({ env: { ...stores.env, ...env }, home: stores.home, clock: stores.clock });
    const error = await refusalOf(await signed({ sub: 'u1' }), shell);
    expect(error).toMatchObject({
      code: 'ERR_USER_UNKNOWN',
      message: "people has no row with id = 'u1' (the sub).",
      hint: expect.not.stringContaining('users add'),
    });
    const issued = await shell.run('token', 'issue', '--sub', 'u1', '--json');
    expect([issued.exitCode, issued.error().hint]).toEqual([3, error.hint]);
  });

  test('if a line is an error of redis-cli', async () => {
    const stdin = 'WRONGTYPE Operation against a key holding the wrong kind of value\n';
    const { stderr } = await stores.run('token', 'register', '--token-file', '-', { stdin });
    expect(stderr).toContain('it looks like an error message from redis-cli (WRONGTYPE)');
  });
});

describe('token revoke says which flag is missing', () => {
  test.each([
    [['--sub', '2'], '--sub 2 needs --all, --jti, --issued-before, or --where.'],
    [['--all'], '--all needs --sub.'],
  ])('%j', async (flags, message) => {
    const { exitCode, error } = await cli().run('token', 'revoke', ...flags, '--json');
    expect([exitCode, error().message]).toEqual([2, message]);
  });
});

test('-V prints the version', async () => {
  expect((await cli().run('-V')).stdout).toBe((await cli().run('--version')).stdout);
});

// biome-ignore-start lint/suspicious/noTemplateCurlyInString: a variable that nothing expanded
describe('a setting', () => {
  test.each([
    ['JWTCTL_TOKEN_TTL', '1y', /token\.ttl is '1y'; expected a duration/],
    ['JWTCTL_MYSQL_PASSWORD', '${DB_PASSWORD}', /a variable that was not expanded/],
    ['JWTCTL_MYSQL_URL', 'mysql://a:${DB_PASSWORD}@h/db', /a variable that was not expanded/],
  ])('%s cannot be %s', async (name, value, message) => {
    const { exitCode, error } = await cli({ env: { [name]: value } }).run('keys', 'list', '--json');
    expect([exitCode, error().message]).toEqual([2, expect.stringMatching(message)]);
  });
});
// biome-ignore-end lint/suspicious/noTemplateCurlyInString: a variable that nothing expanded

test('the log names another scheme of the Authorization header', async () => {
  const request = { headers: { authorization: 'JWT abc' }, rawHeaders: ['authorization', 'JWT abc'] };
  const verifier = { verify: () => Promise.reject(new Error('not asked')) };
  expect(await authenticate(verifier, request, null)).toMatchObject({
    code: 'ERR_TOKEN_MISSING',
    message: 'The Authorization header has the scheme JWT; expected Bearer.',
  });
});

describe('users import', () => {
  async function imported(content: string) {
    const shell = cli();
    writeFileSync(join(shell.home, 'users.csv'), content);
    return shell.run('users', 'import', 'users.csv');
  }

  test('shows an example of each reason', async () => {
    const { stderr } = await imported('sub,name\na,b,c\n"x\ny",n\nd\n');
    expect(stderr).toContain('Line 2: Expected 2 fields, as in the header, but found 3.');
    expect(stderr).toContain('Line 3: ');
    expect(stderr).not.toContain('Line 5: ');
  });

  test('refuses numbers that a spreadsheet changed', async () => {
    const { exitCode, stdout, stderr } = await imported('sub\n1.23457E+12\n4711.0\n17\n');
    expect([exitCode, stdout]).toEqual([5, expect.stringMatching(/added +1/)]);
    expect(stderr).toContain('Line 2: The line has a number that a spreadsheet or a data frame changed');
  });

  test('names a column that it does not know', async () => {
    expect((await imported('sub,active\na,1\n')).stderr).toContain(
      'The column active is unknown. Remove it.',
    );
  });

  test('names the column that may have the subjects', async () => {
    const { exitCode, stderr } = await imported('ID;name\n1;a\n');
    expect([exitCode, stderr]).toEqual([2, expect.stringContaining('rename the column ID to sub')]);
  });

  test('names the line sep=; of spreadsheets', async () => {
    const { exitCode, stderr } = await imported('sep=;\nsub;name\na;b\n');
    expect([exitCode, stderr]).toEqual([2, expect.stringContaining('the line sep=;')]);
  });
});
