import { createPublicKey, type KeyObject } from 'node:crypto';
import { mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Cluster } from 'ioredis';
import jsonwebtoken from 'jsonwebtoken';
import { type Connection, createConnection } from 'mysql2/promise';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Cli, cli } from '../support/cli.js';
import { fencedBlocks, jwtctlCalls, readDocument } from '../support/documents.js';
import { freshPair, pkcs8Of, writeKeyFile } from '../support/private-keys.js';
import { type Served, startServed } from '../support/served.js';
import { freshMysqlDatabase, freshPrefix, mysqlUrl, redisNodes } from '../support/servers.js';
import { signJws } from '../support/signing.js';
import { BIN, spawnProgram } from '../support/spawned.js';
import { openStores, type Stores, writeMasterKey } from '../support/stores.js';

// Debian's python3-jwt is for the system's Python. `npm test` sets another one if that is missing.
const PYTHON = process.env.JWTCTL_TEST_PYTHON ?? '/usr/bin/python3';

const GUIDE = readDocument('docs/migrating.md');
const SESSION_SECONDS = 8 * 3_600;

/** Returns the blocks of the section whose heading begins so. */
function blocksOf(heading: string, language: string): string[] {
  const section = GUIDE.split(/^## /m).find((text) => text.startsWith(heading));
  return fencedBlocks(section ?? '', language);
}

function blockOf(heading: string, language: string, index = 0): string {
  const block = blocksOf(heading, language)[index];
  if (block === undefined) throw new Error(`The guide has no ${language} block ${index} below '${heading}'.`);
  return block;
}

/** Replaces the addresses and names of the guide with those of the test; fails if one is missing. */
function withNames(text: string, names: Record<string, string>): string {
  return Object.entries(names).reduce((rest, [name, value]) => {
    if (!rest.includes(name)) throw new Error(`The guide no longer contains '${name}'.`);
    return rest.replaceAll(name, value);
  }, text);
}

/** What the Flask application does at login, for 15 users with two sessions each. */
const FLASK_LOGINS = `
import datetime, sys, jwt
key = open(sys.argv[1]).read()
now = datetime.datetime.fromtimestamp(int(sys.argv[2]), datetime.timezone.utc)
for user_id in range(int(sys.argv[3]), int(sys.argv[3]) + 15):
    for session in range(2):
        claims = {"sub": user_id, "exp": now + datetime.timedelta(hours=8), "session": session}
        print(jwt.encode(claims, key, algorithm="RS256"))
`;

async function python(program: string, argv: string[], env: Record<string, string> = {}): Promise<string[]> {
  const { exitCode, stdout, stderr } = await spawnProgram(PYTHON, ['-c', program, ...argv], { env });
  expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: expect.not.stringContaining('Traceback') });
  return stdout.trim().split('\n');
}

// Each command is a process of its own, which takes seconds on a busy machine.
describe('each step of the guide, with a Flask application', { timeout: 120_000 }, () => {
  let admin: Connection;
  let application: Awaited<ReturnType<typeof freshMysqlDatabase>>;
  let redis: Cluster;
  let shell: Cli;
  let served: Served | undefined;
  let pems: string[];
  let tokens: string[];
  let own: string;
  let app: string;
  const prefix = freshPrefix();

  beforeAll(async () => {
    shell = cli();
    application = await freshMysqlDatabase();
    app = new URL(application.url).pathname.slice(1);
    own = `${app}_own`;
    admin = await createConnection(mysqlUrl());
    pems = [1, 2].map((number) => writeKeyFile(shell.home, `flask-${number}.pem`, pkcs8Of(freshPair())));
    await plantDatabase();
    tokens = (await Promise.all(pems.map((_, index) => logins(index)))).flat();
    const nodes = redisNodes().map((node) => ({
      host: node.split(':')[0] ?? '',
      port: Number(node.split(':')[1]),
    }));
    redis = new Cluster(nodes);
    for (const [index, token] of tokens.entries())
      await redis.set(`${prefix}-session:${index}`, token, 'EX', SESSION_SECONDS);
    mkdirSync(join(shell.home, 'bin'));
    symlinkSync(BIN, join(shell.home, 'bin/jwtctl'));
  });
  afterAll(async () => {
    await served?.kill();
    for (const master of redis?.nodes('master') ?? []) {
      for (const name of await master.keys(`${prefix}*`)) await master.unlink(name);
    }
    redis?.disconnect();
    await application?.drop();
    await admin?.query(`DROP DATABASE IF EXISTS ${own}`);
    await admin?.query(`DROP USER IF EXISTS ${own}`);
    await admin?.end();
  });

  async function plantDatabase(): Promise<void> {
    await admin.query(`CREATE TABLE ${app}.keystore (kid VARCHAR(32) PRIMARY KEY, private_key TEXT)`);
    for (const [index, pem] of pems.entries()) {
      const row = [`flask-${index + 1}`, readFileSync(pem, 'utf8')];
      await admin.query(`INSERT INTO ${app}.keystore VALUES (?, ?)`, row);
    }
    await admin.query(
      `CREATE TABLE ${app}.users (id INT PRIMARY KEY, name VARCHAR(32), password_hash TEXT, is_active BOOLEAN)`,
    );
    const users = Array.from({ length: 30 }, (_, index) => [index + 1, `user ${index + 1}`, 'hash', 1]);
    await admin.query(`INSERT INTO ${app}.users VALUES ?`, [users]);
  }

  function logins(index: number): Promise<string[]> {
    const argv = [pems[index] as string, String(shell.clock.now()), String(1 + index * 15)];
    return python(FLASK_LOGINS, argv);
  }

  /** Runs a block of the guide in a shell that finds the built jwtctl. */
  async function bash(block: string, env: Record<string, string> = {}) {
    return spawnProgram('bash', ['-e', '-o', 'pipefail', '-c', block], {
      cwd: shell.home,
      env: { ...shell.env, PATH: `${join(shell.home, 'bin')}:${process.env.PATH}`, ...env },
      killAfterMs: 60_000,
    });
  }

  async function sql(block: string): Promise<void> {
    const text = block.replaceAll('jwtctl', own).replaceAll('app.', `${app}.`);
    for (const statement of text.split(/;\s*/).filter(Boolean)) await admin.query(statement);
  }

  const statusFunction = () =>
    `import urllib.request, urllib.error, sys\n${withNames(blockOf('4.', 'python'), {
      '127.0.0.1:8787': `127.0.0.1:${served?.port}`,
    })}`;

  /** Asks the server about tokens with the function of the guide. */
  async function accepted(asked: readonly string[]): Promise<number> {
    const file = writeKeyFile(shell.home, 'asked.txt', asked.join('\n'));
    const program = `${statusFunction()}\nfor token in open(sys.argv[1]): print(jwtctl_status(token.strip()))`;
    const statuses = await python(program, [file]);
    expect(new Set(['200', '401', ...statuses])).toEqual(new Set(['200', '401']));
    return statuses.filter((status) => status === '200').length;
  }

  async function acceptedAfterChange(expected: number): Promise<void> {
    await expect.poll(() => accepted(tokens), { timeout: 15_000 }).toBe(expected);
  }

  test('1. jwtctl is set up beside the application', async () => {
    await sql(blockOf('1.', 'sql').replace('…', 'their password'));
    const server = new URL(mysqlUrl());
    const config = withNames(blockOf('1.', 'yaml'), {
      'mysql://jwtctl@db.example.com/jwtctl': `mysql://${own}@${server.host}/${own}`,
      '/run/secrets/jwtctl-mysql': writeKeyFile(shell.home, 'password', 'their password'),
      '10.0.0.1:6379, 10.0.0.2:6379, 10.0.0.3:6379': redisNodes().join(', '),
      'prefix: jwtctl': `prefix: ${prefix}`,
      '/etc/jwtctl/master.key': writeMasterKey(shell.home),
      'app.users': `${app}.users`,
      '2027-03-31': '2999-12-31',
    });
    mkdirSync(join(shell.home, 'jwtctl'));
    writeFileSync(join(shell.home, 'jwtctl/config.yaml'), config, { mode: 0o600 });

    const addresses = { JWTCTL_MYSQL_URL: application.url, JWTCTL_REDIS_NODES: redisNodes().join(',') };
    const inTheirDatabase = await cli({ env: addresses }).run('db', 'migrate', '--json');
    expect(inTheirDatabase.error().code).toBe('ERR_TABLE_EXISTS');
    expect(await bash(blockOf('1.', 'sh'))).toMatchObject({ exitCode: 0, signal: null });
  });

  test('2. the old keys verify only, and a new key signs', async () => {
    const block = withNames(blockOf('2.', 'sh'), { 'app.keystore': `${app}.keystore` });
    expect(await bash(block)).toMatchObject({ exitCode: 0 });
    expect(await shell.json('keys', 'list')).toMatchObject([
      { kid: 'flask-1', verifyOnly: true },
      { kid: 'flask-2', verifyOnly: true },
      { kid: '2026-q4', state: 'active' },
    ]);
  });

  test('3. all live tokens are registered, also by the login and again', async () => {
    const masters = redis.nodes('master').map(({ options }) => `${options.host}:${options.port}`);
    const block = withNames(blockOf('3.', 'sh'), {
      '10.0.0.1:6379 10.0.0.2:6379 10.0.0.3:6379': masters.join(' '),
      "'session:*'": `'${prefix}-session:*'`,
    });
    for (const _ of ['first', 'again']) {
      const registered = await bash(block);
      expect(registered.exitCode, registered.stderr).toBe(0);
      expect(registered.lines()).toHaveLength(60);
    }
    const words = ['token', 'register', '--token-file', '-', { stdin: tokens.join('\n') }];
    const withoutFlag = await shell.run(...words);
    expect([withoutFlag.exitCode, withoutFlag.stderr]).toEqual([5, expect.stringContaining('--legacy')]);

    const login = withNames(blockOf('3.', 'python'), { 'timeout=5': 'timeout=60' });
    const program = `import logging, subprocess, sys\n${login}\nregister_token(sys.argv[1])`;
    const env = { ...shell.env, PATH: `${join(shell.home, 'bin')}:${process.env.PATH}` };
    const register = (token: string) =>
      spawnProgram(PYTHON, ['-c', program, token], { env, killAfterMs: 60_000 });
    const known = await register(tokens[0] as string);
    expect(known).toMatchObject({ exitCode: 0, stdout: '' });
    expect(known.stderr).not.toContain('was not registered');

    const broken = await register('not a token');
    expect(broken).toMatchObject({ exitCode: 0, stdout: '' });
    expect(broken.stderr).toContain('The token was not registered');
  });

  test('4. the server accepts every registered token, and names what is wrong with others', async () => {
    expect(jwtctlCalls(blockOf('4.', 'sh'))).toEqual([['serve']]);
    served = await startServed(shell.env, '--users-status-ttl', '1s');
    expect(await accepted(tokens)).toBe(60);
    const curl = withNames(blockOf('4.', 'sh', 1), { '8787': String(served.port) });
    const answer = await bash(curl, { TOKEN: tokens[4] as string });
    expect(answer.stdout).toMatch(/^HTTP\/1.1 200 OK\r\n(.*\r\n)*x-auth-subject: 3\r\n/);

    const [late] = await python(FLASK_LOGINS, [pems[0] as string, String(shell.clock.now() + 1), '1']);
    expect(await accepted([String(late)])).toBe(0);
    expect(served.lines()).toContainEqual(expect.objectContaining({ code: 'ERR_TOKEN_NOT_REGISTERED' }));
  });

  test('5. jwtctl issues tokens that lack nothing', async () => {
    const [issue] = blocksOf('5.', 'sh') as [string];
    const printed = await bash(issue);
    const env = { ...shell.env, PATH: `${join(shell.home, 'bin')}:${process.env.PATH}` };
    const prelude = 'import subprocess, types\nuser = types.SimpleNamespace(id=4, role="editor")\n';
    const [fromLogin] = await python(`${prelude}${blockOf('5.', 'python')}print(token)`, [], env);
    const issued = [printed.stdout.trim(), String(fromLogin)];
    expect(await accepted(issued)).toBe(2);
    for (const [index, sub] of ['3', '4'].entries()) {
      const { header, payload } = await shell.json('token', 'decode', issued[index] as string);
      expect(header.kid).toBe('2026-q4');
      expect(payload).toMatchObject({ iss: 'https://app.example.com', aud: 'app', sub, role: 'editor' });
      expect(payload).toMatchObject({ jti: expect.any(String), iat: expect.any(Number) });
      expect(payload.exp - payload.iat).toBe(SESSION_SECONDS);
    }
  });

  test('6. one token and all tokens of a user end, and of a disabled user', async () => {
    const revoked = await bash(blockOf('6.', 'sh'), { TOKEN: tokens[0] as string });
    expect(revoked.exitCode, revoked.stderr).toBe(0);
    await acceptedAfterChange(57);
    await admin.query(`UPDATE ${app}.users SET is_active = 0 WHERE id = 29`);
    await acceptedAfterChange(55);
  });

  test('6. after that, a token of the user is registered only with a later iat', async () => {
    const pem = readFileSync(pems[1] as string);
    const login = (parts: Record<string, unknown>) => {
      const claims = { sub: 30, exp: shell.clock.now() + SESSION_SECONDS, ...parts };
      const stdin = jsonwebtoken.sign(JSON.stringify(claims), pem, { algorithm: 'RS256' });
      return shell.run('token', 'register', '--legacy', '-', '--json', { stdin });
    };
    expect((await login({})).error().code).toBe('ERR_TOKEN_REVOKED');
    const words = ['token', 'register', '--legacy', '-', '--json', { stdin: String(tokens[0]) }];
    expect((await shell.run(...words)).error().code).toBe('ERR_TOKEN_REVOKED');
    // The commands of the guide ran by the clock of the host.
    await shell.clock.until(Date.now() / 1_000 + 2);
    expect((await login({ iat: shell.clock.now() })).json()).toMatchObject({ sub: '30' });
  });

  test('7. the plaintext keys and, after the last old token, the old keys go', async () => {
    await sql(blockOf('7.', 'sql'));
    expect(await accepted(tokens)).toBeGreaterThan(50);
    await served?.kill();
    served = undefined;
    const [inspect, retire] = blocksOf('7.', 'sh').map(jwtctlCalls) as [string[][], string[][]];
    const early = await shell.run(...(retire[0] as string[]), '--json');
    expect(early.error().code).toBe('ERR_KEY_IN_USE');

    shell.clock.advance(SESSION_SECONDS + 3_600);
    for (const words of inspect) expect(await shell.json(...words)).toMatchObject({ entries: 0 });
    for (const words of retire) expect(await shell.json(...words)).toMatchObject({ state: 'retired' });
  });
});

describe('the tokens of other libraries', () => {
  let stores: Stores;
  let now: number;

  beforeAll(async () => {
    stores = await openStores('MariaDB and a Redis Cluster', { JWTCTL_TOKEN_ACCEPT_LEGACY: '2999-12-31' });
    await stores.json('users', 'add', '7');
    now = stores.clock.now();
    mkdirSync(join(stores.home, 'storage'));
  });
  afterAll(() => stores?.close());

  /** Runs the two commands that the guide shows for a library, and verifies each token. */
  async function follow(
    key: KeyObject,
    {
      file,
      kid,
      tokens,
      settings = {},
    }: {
      file: string;
      kid: string;
      tokens: string[];
      settings?: Record<string, string>;
    },
  ): Promise<void> {
    const block = blocksOf('Other libraries', 'sh').find((text) => text.includes(file)) ?? '';
    const [importing, registering] = jwtctlCalls(block) as [string[], string[]];
    const shell = cli({ ...stores, env: { ...stores.env, ...settings } });
    const publicKey = createPublicKey(key);
    writeFileSync(join(stores.home, 'private.key'), pkcs8Of(key), { mode: 0o600 });
    writeFileSync(join(stores.home, 'private.pem'), pkcs8Of(key), { mode: 0o600 });
    const spki = publicKey.export({ type: 'spki', format: 'pem' });
    writeFileSync(join(stores.home, 'storage/oauth-public.key'), spki);
    const published = { ...publicKey.export({ format: 'jwk' }), kid, alg: 'RS256', use: 'sig' };
    writeFileSync(join(stores.home, file), tokens.join('\n'));

    const imported = await shell.run(...importing, { stdin: JSON.stringify({ keys: [published] }) });
    expect(imported.exitCode, imported.stderr).toBe(0);
    // The other libraries date their tokens with the clock of the system.
    shell.clock.until(Date.now() / 1000);
    const registered = await shell.run(...registering);
    expect(registered.exitCode, registered.stderr).toBe(0);
    expect(registered.lines().map((line) => JSON.parse(line))).toEqual(
      tokens.map(() => expect.objectContaining({ sub: '7', kid })),
    );
    for (const token of tokens) {
      expect(await shell.json('token', 'verify', '-', { stdin: token })).toMatchObject({ active: true });
    }
  }

  test('jsonwebtoken: with an iat alone, and with everything', async () => {
    const key = freshPair();
    const sign = (claims: object, options: object = {}) =>
      jsonwebtoken.sign(claims, pkcs8Of(key), { algorithm: 'RS256', expiresIn: '8h', ...options });
    const whole = { keyid: 'node', jwtid: 'a', issuer: 'jwtctl', audience: ['user'] };
    const tokens = [sign({ sub: '7', role: 'admin' }), sign({ name: 'x' }, { subject: '7', ...whole })];
    await follow(key, { file: 'node.txt', kid: 'node', tokens });

    const stdin = sign({ userId: 7 });
    const refused = await stores.run('token', 'register', '--legacy', '-', '--json', { stdin });
    expect(refused.error()).toMatchObject({
      code: 'ERR_CLAIM_INVALID',
      message: expect.stringContaining('sub is missing'),
    });
  });

  test('PyJWT: an integer sub and fractional times', async () => {
    const key = freshPair();
    const pem = writeKeyFile(stores.home, 'signing.pem', pkcs8Of(key));
    const program = `
import sys, jwt
key, now = open(sys.argv[1]).read(), int(sys.argv[2])
print(jwt.encode({"sub": 7, "exp": now + 3600}, key, algorithm="RS256"))
print(jwt.encode({"sub": "7", "iat": now - 0.75, "nbf": now - 0.75, "exp": now + 3599.25}, key, algorithm="RS256"))
`;
    const tokens = await python(program, [pem, String(now)]);
    await follow(key, { file: 'flask.txt', kid: 'flask', tokens });
  });

  test('Laravel Passport: fractional times, and the client ID as aud', async () => {
    const key = freshPair();
    const times = { iat: now - 0.381923, nbf: now - 0.381945, exp: now + 31_535_999.62 };
    const claims = { aud: '3', jti: '1f'.repeat(40), ...times, sub: '7', scopes: ['orders:read'] };
    const token = await signJws({ privateKey: key }, { typ: 'JWT', alg: 'RS256' }, claims);
    const settings = { JWTCTL_TOKEN_AUDIENCE: '3' };
    await follow(key, { file: 'passport.txt', kid: 'passport', tokens: [token], settings });
    const other = await stores.run('token', 'verify', '-', '--json', { stdin: token });
    expect(other.json().error.code).toBe('ERR_AUDIENCE_MISMATCH');
  });

  test('Spring Security: from an authorization server, and from a JwtEncoder', async () => {
    const key = freshPair();
    const [kid, iss] = ['7a2c1c0e-5f0b-4e4e-9c39-1f4b1a6de1f0', 'https://auth.example.com'];
    const claims = { sub: '7', iss, nbf: now, iat: now, exp: now + 300 };
    const tokens = await Promise.all([
      signJws(
        { privateKey: key },
        { kid, alg: 'RS256' },
        { ...claims, aud: 'messaging-client', scope: ['read'], jti: '0f3fd7b3-35a6-4f36-8a4c-1a4a1b0d2c11' },
      ),
      signJws({ privateKey: key }, { kid, alg: 'RS256' }, { ...claims, scope: 'read write' }),
    ]);
    const settings = { JWTCTL_TOKEN_ISSUER: iss, JWTCTL_TOKEN_AUDIENCE: 'messaging-client' };
    await follow(key, { file: 'spring.txt', kid, tokens, settings });
  });
});
