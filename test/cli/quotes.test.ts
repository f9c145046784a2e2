import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { cli } from '../support/cli.js';
import { openStores, type Stores } from '../support/stores.js';

describe('values that look like JSON, a list, or a quoted word', () => {
  let stores: Stores;
  const issue = ['token', 'issue', '--sub', 'alice'] as const;

  beforeAll(async () => {
    stores = await openStores('SQLite');
    await stores.json('keys', 'generate');
    await stores.json('users', 'add', 'alice');
  });
  afterAll(() => stores?.close());

  async function claimsOf(token: string) {
    return (await stores.json('token', 'decode', token)).payload;
  }

  test.each([
    ['roles=[admin,user]', 'roles', ['admin', 'user']],
    ["roles=['admin', 'user']", 'roles', ['admin', 'user']],
    ['roles=[telegram:123]', 'roles', null],
    ['roles=[admin, 1, true, None]', 'roles', ['admin', 1, true, null]],
    ["org={'id': 5, 'name': 'Big Corp'}", 'org', { id: 5, name: 'Big Corp' }],
    ['org={id:5}', 'org', { id: 5 }],
    ["x='y'", 'x', 'y'],
    ['x=“y”', 'x', 'y'],
    ['x=‘y’', 'x', 'y'],
    ['x=`y`', 'x', 'y'],
    ['x=\\"y\\"', 'x', 'y'],
    ['note="hello', 'note', null],
    ['note=[draft] hello', 'note', null],
    ["admin='true'", 'admin', true],
    ['o={"a":1', 'o', null],
    ['o={"a":1,}', 'o', null],
  ])('--claim %s is refused, and the message has the right spelling', async (claim, name, meant) => {
    const refused = await stores.run(...issue, '--claim', claim, '--json');
    expect(refused).toMatchObject({ exitCode: 2, stdout: '' });
    expect(refused.error().code).toBe('ERR_FLAG_INVALID');
    const { hint = '' } = refused.error();
    const suggested = spellings(hint);
    expect(suggested).toHaveLength(meant === null ? 1 : 2);
    const [asText = '', asJson] = suggested.reverse();
    const text = claim.slice(claim.indexOf('=') + 1);
    expect((await claimsOf((await stores.json(...issue, '--claim', asText)).token))[name]).toBe(text);
    if (asJson === undefined) return;
    expect((await claimsOf((await stores.json(...issue, '--claim', asJson)).token))[name]).toEqual(meant);
  });

  test.each([
    ...['{"role":"admin"}', '{"role":"a=b"}', '"role"=admin', "'role'=admin", 'role = admin', ' role=admin'],
    ...['role:admin', '"role=admin"', '“role”=admin', '[role=admin]'],
  ])('--claim %s is refused, and the message names the form', async (claim) => {
    const refused = await stores.run(...issue, '--claim', claim, '--json');
    expect(refused.exitCode).toBe(2);
    expect(refused.error()).toMatchObject({
      code: 'ERR_FLAG_INVALID',
      message: 'Specify --claim as name=value.',
    });
  });

  test.each([
    ['admin=True', 'true'],
    ['admin=FALSE', 'false'],
    ['manager=None', 'null'],
    ['manager=nil', 'null'],
    ['manager=undefined', 'null'],
  ])('--claim %s is signed as text, with a warning', async (claim, json) => {
    const { exitCode, stderr } = await stores.run(...issue, '--claim', claim);
    expect(exitCode).toBe(0);
    expect(stderr).toContain(`write --claim ${claim.split('=')[0]}=${json}.`);
  });

  test.each(['a,b', 'a, b', 'a b', 'a;b', 'api,web,admin', 'https://a.example,https://b.example'])(
    '--aud %j is one audience, with a warning',
    async (aud) => {
      const { exitCode, stdout, stderr } = await stores.run(...issue, '--aud', aud);
      expect(exitCode).toBe(0);
      expect((await claimsOf(stdout.trim())).aud).toBe(aud);
      expect(stderr).toMatch(/repeat the flag: --aud \S+ --aud \S+/);
    },
  );

  test.each(['["a","b"]', '[a,b]', "['a','b']", '[a b]'])('--aud %j is refused', async (aud) => {
    for (const command of [[...issue], ['token', 'verify', 'x'], ['token', 'register', 'x']]) {
      const refused = await stores.run(...command, '--aud', aud, '--json');
      expect(refused.exitCode).toBe(2);
      expect(refused.error()).toMatchObject({
        code: 'ERR_FLAG_INVALID',
        hint: 'Repeat the flag: --aud a --aud b',
      });
    }
  });

  test.each(['"alice"', "'alice'", '`alice`', '“alice”', '‘alice’', '\\"alice\\"', "\\'alice\\'", '„alice“'])(
    '%s as a subject is a name of its own, with a warning',
    async (sub) => {
      for (const command of [
        ['token', 'issue', '--sub', sub],
        ['users', 'show', sub],
        ['token', 'list', '--sub', sub],
      ]) {
        const { stderr } = await stores.run(...command);
        expect(stderr).toMatch(/Did you mean (--sub )?alice\?/);
      }
    },
  );
});

test.each([
  ['JWTCTL_TOKEN_ISSUER', '"https://id.example"'],
  ['JWTCTL_TOKEN_ISSUER', "'https://id.example'"],
  ['JWTCTL_TOKEN_AUDIENCE', '“api”'],
  ['JWTCTL_TOKEN_TTL', '"15m"'],
  ['JWTCTL_REDIS_NODES', '"127.0.0.1:6379"'],
  ['JWTCTL_MYSQL_URL', '"mysql://u:hunter2@localhost/db"'],
  ['JWTCTL_MYSQL_URL', "'mysql://u:hunter2@localhost/db'"],
  ['JWTCTL_MASTER_KEY', '"hunter2"'],
  ['JWTCTL_REDIS_PASSWORD', '"hunter2"'],
  ['JWTCTL_PROFILE', '"staging"'],
  ['JWTCTL_CONFIG', "'/etc/jwtctl.yaml'"],
  ['JWTCTL_USERS_SOURCE', '""'],
])(
  'the variable %s with the value %s is refused, because an env file kept the quotes',
  async (name, value) => {
    const refused = await cli({ env: { [name]: value } }).run('keys', 'list', '--json');
    expect(refused.exitCode).toBe(2);
    expect(refused.error().code).toBe('ERR_CONFIG_VALUE_INVALID');
    expect(refused.error().message).toContain(`${name} has quotes around its value`);
    expect(refused.stderr).not.toContain('hunter2');
  },
);

/** Returns the values of the flags --claim in a text, as a shell reads them. */
function spellings(text: string): string[] {
  return [...text.matchAll(/--claim ((?:'[^']*'|\\'|[\w.=@/-])+)/g)].map(([, word = '']) =>
    word.replace(/'([^']*)'|\\'/g, (_all, quoted?: string) => quoted ?? "'").replace(/[.?]$/, ''),
  );
}
