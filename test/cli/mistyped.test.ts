import { describe, expect, test } from 'vitest';
import { cli } from '../support/cli.js';
import { openStores } from '../support/stores.js';
import { runAtTerminal } from '../support/terminal.js';

async function hintOf(line: string): Promise<string> {
  const { exitCode, stdout, error } = await cli().run(...line.split(' '), '--json');
  expect({ exitCode, stdout }).toEqual({ exitCode: 2, stdout: '' });
  return error().hint ?? '';
}

describe('a command', () => {
  test.each([
    ['verify x', 'token verify'],
    ['issue', 'token issue'],
    ['login alice', 'token issue'],
    ['decode x', 'token decode'],
    ['revoke x', 'token revoke'],
    ['rotate', 'keys rotate'],
    ['keygen', 'keys generate'],
    ['jwks', 'keys export --jwks'],
    ['migrate', 'db migrate'],
    ['flush', 'cache flush'],
    ['server', 'serve'],
    ['redis', 'cache'],
    ['KEYS', 'keys'],
    ['Token list', 'token'],
    ['usr list', 'users'],
    ['tokns list', 'token'],
    ['keys delete k', 'keys retire'],
    ['keys create', 'keys generate'],
    ['keys revoke k', 'keys compromise'],
    ['keys LIST', 'keys list'],
    ['keys rotat', 'keys rotate'],
    ['keys ls', 'keys list'],
    ['users create alice', 'users add'],
    ['users delete alice', 'users remove'],
    ['users ban alice', 'users disable'],
    ['users revoke alice', 'users disable'],
    ['users get alice', 'users show'],
    ['user ls', 'users list'],
    ['token create', 'token issue'],
    ['token sign', 'token issue'],
    ['token check x', 'token verify'],
    ['token blacklist x', 'token revoke'],
    ['token show x', 'token decode'],
    ['token import x', 'token register'],
    ['token delete x', 'token revoke'],
    ['token rotate', 'keys rotate'],
    ['cache clear', 'cache flush'],
    ['cache ls', 'cache inspect'],
    ['cache backup f', 'cache snapshot'],
    ['cache repair', 'cache reconcile'],
    ['db upgrade', 'db migrate'],
    ['config check', 'config validate'],
    ['config get', 'config show'],
    ['config list', 'config show'],
    ['config ls', 'config show'],
    ['cache list', 'cache inspect'],
    ['db list', 'db status'],
    ['keys gen', 'keys generate'],
    ['keys comp k', 'keys compromise'],
    ['users dis alice', 'users disable'],
    ['keys add k.pem', 'keys import --pem k.pem'],
    ['keys delete old.pem', 'keys retire'],
    ['keys rm k.pem', 'keys retire'],
    ['keys revoke k.pem', 'keys compromise'],
    ['keys load jwks.json', 'keys import --jwk jwks.json'],
    ['version', '--version'],
    ['keypair ls', 'keys'],
    ['keys desc k', 'keys show'],
    ['genrsa 2048', 'keys generate'],
    ['db:migrate', 'db migrate'],
    ['keys:create', 'keys generate'],
    ['keys.rotate', 'keys rotate'],
    ['user:add alice', 'users add'],
    ['cache:frobnicate', 'cache'],
  ])('%s is probably jwtctl %s', async (line, command) => {
    expect(await hintOf(line)).toBe(`Did you mean \`jwtctl ${command}\`?`);
  });

  test.each([
    ...['frobnicate', 'keys frobnicate', 'hunter2', 'x', 'keys re', 'keys servr'],
    ...['constructor', 'token constructor', '__proto__', 'keys toString', 'token issue --constructor=x'],
  ])('%s has no suggestion', async (line) => {
    expect(await hintOf(line)).not.toContain('Did you mean');
  });

  test.each([
    ['key', 'list'],
    ['user', 'list'],
    ['tokens', 'list', '--sub', 'alice'],
  ])('%s is an alias that works', async (...words) => {
    const shell = cli();
    await shell.json('users', 'add', 'alice');
    expect((await shell.run(...words)).exitCode).toBe(0);
  });
});

describe('a flag', () => {
  test.each([
    ['token issue --subject alice', '--sub'],
    ['token issue --user alice', '--sub'],
    ['token issue --SUB alice', '--sub'],
    ['token issue --file users.txt', '--sub-file'],
    ['token list --subject alice', '--sub'],
    ['token issue --subFile users.txt', '--sub-file'],
    ['token issue --sub a --audience api', '--aud'],
    ['token issue --sub a --client shop', '--client-id'],
    ['token issue --sub a --expires-in 1h', '--ttl'],
    ['token issue --sub a --expiresIn=1h', '--ttl'],
    ['token issue --sub a --expires_in 1h', '--ttl'],
    ['token issue --sub a --exp 1h', '--ttl'],
    ['token issue --sub a --lifetime 1h', '--ttl'],
    ['token issue --sub a --payload p.json', '--claims'],
    ['token issue --sub a --role admin', '--claim'],
    ['token issue --sub a --nbf 5m', '--not-before'],
    ['token issue --sub a --create-users', '--create-user'],
    ['token register --file tokens.txt', '--token-file'],
    ['token verify x --audience api', '--aud'],
    ['token revoke --sub a --id j', '--jti'],
    ['token revoke --key-id k', '--kid'],
    ['token revoke --kid k --message m', '--reason'],
    ['token revoke --kid k --force', '--yes'],
    ['token revoke --kid k --dryrun', '--dry-run'],
    ['keys generate --algorithm RS256', '--alg'],
    ['keys generate --size 4096', '--bits'],
    ['keys import --file k.pem', '--pem'],
    ['keys export --jwks --output-file f', '--out'],
    ['keys list --format json', '--output'],
    ['serve --bind 0.0.0.0', '--host'],
    ['token issue --sub a --issuer https://x', '--token-issuer'],
    ['keys list --profil p', '--profile'],
    ['keys list --redis-password=hunter2', '--redis-password-file'],
    ['keys export --format pem', '--pem'],
    ['keys export --format=jwk', '--jwks'],
    ['keys export --private-key', '--private'],
    ['keys import --private-key k.pem', '--pem'],
    ['keys import --public-key k.pem', '--public'],
    ['token issue --sub a --payload jti=some_id', '--claim'],
    ['token issue --sub-f users.txt', '--sub-file'],
  ])('in %s is probably %s', async (line, flag) => {
    expect(await hintOf(line)).toBe(`Did you mean \`${flag}\`?`);
  });

  test.each([
    ['users add --sub alice', 'users add SUB'],
    ['users show --user alice', 'users show SUB'],
    ['users import --file users.csv', 'users import FILE'],
    ['keys retire --kid k', 'keys retire KID'],
    ['keys show --key-id k', 'keys show KID'],
    ['token verify --token x', 'token verify TOKEN'],
  ])('in %s is probably an argument', async (line, command) => {
    expect(await hintOf(line)).toBe(`Did you mean \`jwtctl ${command}\`, without a flag?`);
  });

  test.each([...['keys list --file x', 'keys list --frobnicate', 'token issue --sub a --type refresh']])(
    'in %s has no suggestion that is far away',
    async (line) => {
      expect(await hintOf(line)).not.toContain('Did you mean');
    },
  );
});

describe('a value', () => {
  test.each([
    ['token issue alice', '--sub SUB'],
    ['token issue alice@example.com --ttl 1h', '--sub SUB'],
    ['token list S3cret', '--sub SUB'],
    ['keys generate my-key', '--kid KID'],
    ['cache inspect alice', '--sub SUB'],
    ['token issue user_id=123456', '--claim user_id=VALUE'],
    ['keys import k.pem', '--pem k.pem'],
    ['token issue --sub hour --ttl 1 hour', '--ttl 1h'],
    ['token issue --sub a --ttl 1 hour', '--ttl 1h'],
    ['token issue --sub a --ttl 15 minutes', '--ttl 15m'],
    ['token issue --sub a --ttl 2 weeks', '--ttl 14d'],
    ['keys rotate --if-older-than 30 days', '--if-older-than 30d'],
    ['token issue eyJhbGciOiJSUzI1NiJ9.e30.c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0', '--sub SUB'],
  ])('in %s belongs to a flag', async (line, flag) => {
    expect(await hintOf(line)).toBe(`Did you mean \`${flag}\`?`);
  });

  test.each([
    ['1 hour', '1h'],
    ['1hour', '1h'],
    ['1 hr', '1h'],
    ['15min', '15m'],
    ['15 mins', '15m'],
    ['90 seconds', '90s'],
    ['90sec', '90s'],
    ['7 days', '7d'],
    ['1H', '1h'],
    ['2w', '14d'],
    ['1 week', '7d'],
  ])('--ttl %j is probably %s', async (ttl, meant) => {
    const { exitCode, error } = await cli().run('token', 'issue', '--sub', 'a', '--ttl', ttl, '--json');
    expect({ exitCode, hint: error().hint }).toEqual({ exitCode: 2, hint: `Did you mean ${meant}?` });
  });

  test.each(['1 fortnight', 'tomorrow', '0 hours', '1.5h', '-1 day', ''])(
    '--ttl %j has no suggestion',
    async (ttl) => {
      const { exitCode, error } = await cli().run('token', 'issue', '--sub', 'a', `--ttl=${ttl}`, '--json');
      expect(exitCode).toBe(2);
      expect(error().hint).not.toContain('Did you mean');
    },
  );
});

test('JSON in place of the file of --claims is named, with the flags', async () => {
  const { exitCode, error } = await cli().run(
    'token',
    'issue',
    '--sub',
    'a',
    '--claims',
    '{"a":1,"b":"x y"}',
    '--json',
  );
  expect([exitCode, error().message]).toEqual([
    2,
    '--claims takes the name of a file, but the value is JSON.',
  ]);
  expect(error().hint).toContain(`Did you mean --claim a=1 --claim 'b="x y"'?`);
});

test.each([
  ['too many claims', '{"a":1,"b":2,"c":3,"d":4}'],
  ['a long claim', JSON.stringify({ a: 'x'.repeat(80) })],
])('JSON with %s in place of the file of --claims has no suggestion', async (_, json) => {
  const { error } = await cli().run('token', 'issue', '--sub', 'a', '--claims', json, '--json');
  expect(error().hint).toBe('To read the JSON from standard input, pass --claims -.');
});

test('an unknown profile is named without a command, too', async () => {
  const { exitCode, stderr } = await cli().run('--profile', 'nowhere');
  expect([exitCode, stderr]).toEqual([2, expect.stringContaining('The profile nowhere does not exist.')]);
  expect((await cli().run()).exitCode).toBe(0);
});

test('token revoke --issued-before asks even if it matches no token', async () => {
  const stores = await openStores('SQLite');
  await stores.json('keys', 'generate');
  const moment = String(stores.clock.now());
  const words = ['token', 'revoke', '--issued-before', moment];
  const { exitCode, error } = await stores.run(...words, '--no-input', '--json');
  expect({ exitCode, code: error().code }).toEqual({ exitCode: 2, code: 'ERR_CONFIRMATION_NEEDED' });
  expect(await stores.json(...words, '--yes')).toMatchObject({ revoked: 0 });
});

test('token revoke --kid asks nothing at a terminal if the key has no tokens', async () => {
  const stores = await openStores('SQLite');
  const { kid } = await stores.json('keys', 'generate');
  const words = ['token', 'revoke', '--kid', kid];
  const asksNothing = await runAtTerminal(stores, ...words, '--json');
  expect([asksNothing.exitCode, asksNothing.json()]).toMatchObject([0, { revoked: 0 }]);
  const refused = await stores.run(...words, '--json');
  expect([refused.exitCode, refused.error().code]).toEqual([2, 'ERR_CONFIRMATION_NEEDED']);
  await stores.json('users', 'add', 'alice');
  stores.clock.advance(5);
  await stores.json('token', 'issue', '--sub', 'alice');
  const { exitCode, error } = await stores.run(...words, '--no-input', '--json');
  expect({ exitCode, code: error().code }).toEqual({ exitCode: 2, code: 'ERR_CONFIRMATION_NEEDED' });
});

test.each([
  ['keys generate --use sig', 'RSA signing keys'],
  ['keys import --pem k.pem --kty RSA', 'RSA signing keys'],
  ['keys list --ssl-mode=REQUIRED', '?ssl-mode=REQUIRED in mysql.url'],
  ['keys list --mysql-ssl-mode REQUIRED', '?ssl-mode=REQUIRED in mysql.url'],
  ['keys list --ssl-ca ca.pem', 'mysql.tls.ca'],
  ['keys list --insecure', 'always checks the certificate'],
  ['keys list --host db.example', 'Set mysql.url to mysql://'],
  ['keys list -u root', 'Set mysql.url to mysql://'],
  ['keys list --redis-host cache.example', 'redis.nodes to host:port'],
  ['token issue --sub alice --secret hunter2', 'not with a shared secret'],
  ['token verify --jwks jwks.json x', '`jwtctl keys import`'],
])('`%s`, as in another program, gets the way of jwtctl', async (line, advice) => {
  expect(await hintOf(line)).toContain(advice);
});

test.each(['-phunter2', '-ahunter2'])('a password after %s is not shown', async (flag) => {
  const { exitCode, stderr } = await cli().run('keys', 'list', flag);
  expect({ exitCode, stderr }).toEqual({ exitCode: 2, stderr: expect.stringContaining('passwordFile') });
  expect(stderr).not.toContain('hunter');
});
