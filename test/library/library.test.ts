import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import {
  createVerifier,
  JwtctlError,
  openIssuer,
  openVerifier,
  type SettingsInput,
} from '../../src/index.js';
import { temporaryFolder } from '../support/cli.js';
import { closedPorts } from '../support/proxies/silent-server.js';
import { spawnProgram } from '../support/spawned.js';
import { BACKENDS, openStores, type Stores } from '../support/stores.js';

const DIST = new URL('../../dist/index.js', import.meta.url).href;
const HOOK = fileURLToPath(new URL('../support/log-imports.mjs', import.meta.url));

describe.each(BACKENDS)('the library on %s', (backend) => {
  let stores: Stores;
  let options: SettingsInput;
  const closers: Array<() => Promise<void>> = [];

  beforeAll(async () => {
    stores = await openStores(backend);
    await stores.json('keys', 'generate');
    await stores.json('users', 'add', 'alice');
    const { JWTCTL_MYSQL_URL: url, JWTCTL_REDIS_NODES: nodes, JWTCTL_REDIS_PREFIX: prefix } = stores.env;
    options =
      url === undefined || nodes === undefined || prefix === undefined
        ? { data: join(stores.home, 'data', 'jwtctl', 'jwtctl.db') }
        : {
            mysql: { url },
            redis: { nodes, prefix },
            masterKey: { file: String(stores.env.JWTCTL_MASTER_KEY_FILE) },
          };
  });
  afterEach(async () => {
    for (const close of closers.splice(0)) await close();
  });
  afterAll(() => stores?.close());

  async function verifier() {
    const opened = await openVerifier(options);
    closers.push(opened.close);
    return opened;
  }

  async function issuer(more: SettingsInput = {}) {
    const opened = await openIssuer({ ...options, ...more });
    closers.push(opened.close);
    return opened;
  }

  test('close waits for running calls, and later calls fail as closed', async () => {
    const opened = await openIssuer(options);
    const issuing = opened.issue({ sub: 'alice' });
    await opened.close();
    const { token, jti } = await issuing;
    const [row] = await stores.query('SELECT * FROM audit_log ORDER BY seq DESC LIMIT 1');
    expect(row).toMatchObject({ actor: 'library', action: 'token.issue', target: `alice ${jti}` });
    await expect(opened.issue({ sub: 'alice' })).rejects.toMatchObject({ kind: 'state', code: 'ERR_CLOSED' });

    const checking = await openVerifier(options);
    const verdict = checking.verify(token);
    await checking.close();
    await checking.close();
    expect((await verdict).active).toBe(true);
    await expect(checking.verify(token)).rejects.toMatchObject({ kind: 'state', code: 'ERR_CLOSED' });
  });

  test.each([{}, { sub: 1 }, { sub: 'alice', aud: 5 }, { sub: 'alice', aud: [] }])(
    'a malformed request is refused and nothing is registered: %o',
    async (request) => {
      const opened = await issuer();
      await expect(opened.issue(request as never)).rejects.toMatchObject({ kind: 'usage' });
    },
  );

  test('a verifier agrees with the command line on valid and invalid tokens', async () => {
    const { verify } = await verifier();
    const { token } = await stores.json('token', 'issue', '--sub', 'alice');
    const revoked = (await stores.json('token', 'issue', '--sub', 'alice')).token;
    await stores.json('token', 'revoke', revoked);
    const api = (await stores.json('token', 'issue', '--sub', 'alice', '--aud', 'api')).token;

    for (const candidate of [token, api, '', 'x', `${token}x`, token.slice(0, -4), `${token}.x`]) {
      const told = await stores.run('token', 'verify', '--json', '--', candidate);
      const verdict = await verify(candidate);
      if (verdict.active) expect({ ...verdict, kid: verdict.header.kid }).toEqual(told.json());
      else
        expect(told.json()).toMatchObject({
          ...{ active: false, reason: verdict.reason },
          error: { code: verdict.error.code },
        });
    }
    // A verifier reads the log every second. Until then, the registry alone makes it refuse the token.
    expect(await verify(revoked)).toMatchObject({ active: false, reason: 'Authorization Failure' });
    expect(await verify(token)).toMatchObject({ active: true, payload: { sub: 'alice' } });
  });

  test('a running verifier sees revocations, disabled users, and rotations', async () => {
    const { verify } = await verifier();
    const { token } = await stores.json('token', 'issue', '--sub', 'alice');
    expect(await verify(token)).toMatchObject({ active: true });
    await stores.json('users', 'disable', 'alice');
    expect(await verify(token)).toMatchObject({ error: { code: 'ERR_USER_DISABLED' } });
    await stores.json('users', 'enable', 'alice');
    expect(await verify(token)).toMatchObject({ active: true });
    await stores.json('token', 'revoke', token);
    expect(await verify(token)).toMatchObject({ active: false, reason: 'Authorization Failure' });

    await stores.json('keys', 'rotate', '--now');
    const later = await stores.json('token', 'issue', '--sub', 'alice');
    expect(await verify(later.token)).toMatchObject({ active: true, header: { kid: later.kid } });
  });

  test('the command line verifies and lists the tokens of an issuer', async () => {
    const { issue } = await issuer();
    const issued = await issue({
      sub: 'alice',
      ttlSeconds: 600,
      aud: ['user', 'api'],
      claims: { role: 'admin' },
    });

    expect(Object.keys(issued)).toEqual(['token', 'jti', 'kid', 'sub', 'aud', 'iat', 'exp']);
    expect(issued).toMatchObject({ sub: 'alice', aud: ['user', 'api'], exp: issued.iat + 600 });
    // The clock of the command line is stopped; the issuer's is not.
    await stores.clock.until(issued.iat);
    expect(await stores.json('token', 'verify', issued.token)).toMatchObject({ payload: { role: 'admin' } });
    const listed = await stores.json('token', 'list', '--sub', 'alice');
    expect(listed.map((entry: { jti: string }) => entry.jti)).toContain(issued.jti);
    expect((await issue({ sub: 'alice' })).aud).toBe('user');
  });

  test.each([
    { request: { sub: 'unknown' }, kind: 'not_found', code: 'ERR_USER_UNKNOWN' },
    { request: { sub: '' }, kind: 'usage', code: 'ERR_SUBJECT_INVALID' },
    { request: { sub: 'alice', ttlSeconds: 86_401 }, kind: 'usage', code: 'ERR_TTL_TOO_LONG' },
    { request: { sub: 'alice', ttlSeconds: 0 }, kind: 'usage', code: 'ERR_TTL_INVALID' },
    { request: { sub: 'alice', ttlSeconds: 1.5 }, kind: 'usage', code: 'ERR_TTL_INVALID' },
    { request: { sub: 'alice', claims: { sub: 'bob' } }, kind: 'usage', code: 'ERR_CLAIM_RESERVED' },
    { request: { sub: 'alice', aud: [] }, kind: 'usage', code: 'ERR_AUDIENCE_INVALID' },
  ])('an issuer refuses $request', async ({ request, kind, code }) => {
    const { issue } = await issuer();
    const error = await issue(request).catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(JwtctlError);
    expect(error).toMatchObject({ kind, code });
  });

  test('a program exits by itself after closing both', async () => {
    const file = join(stores.home, 'program.mjs');
    writeFileSync(
      file,
      `import { openIssuer, openVerifier } from '${DIST}';
       const options = ${JSON.stringify(options)};
       const issuer = await openIssuer(options);
       const verifier = await openVerifier(options);
       const { token } = await issuer.issue({ sub: 'alice' });
       console.log(JSON.stringify(await verifier.verify(token)));
       await issuer.close();
       await verifier.close();
       await verifier.close();`,
    );
    const ended = await spawnProgram(process.execPath, [file], { env: { HOME: stores.home } });
    expect({ exitCode: ended.exitCode, signal: ended.signal, stderr: ended.stderr }).toEqual({
      ...{ exitCode: 0, signal: null, stderr: '' },
    });
    expect(ended.json()).toMatchObject({ active: true, payload: { sub: 'alice' } });
    expect(ended.elapsedMs).toBeLessThan(5_000);
  });

  test('opening rejects without a store or with an unknown setting', async () => {
    const missing = openVerifier({ data: join(stores.home, 'none.db') });
    await expect(missing).rejects.toMatchObject({ kind: 'state', code: 'ERR_NO_STORE' });
    const alone = openVerifier({ redis: { nodes: '127.0.0.1:1' } });
    await expect(alone).rejects.toMatchObject({ kind: 'usage', code: 'ERR_CONFIG_INCOMPLETE' });
    const mistyped = openVerifier({ ...options, token: { isuer: 'x' } } as SettingsInput);
    await expect(mistyped).rejects.toMatchObject({ kind: 'usage', code: 'ERR_CONFIG_SETTING_UNKNOWN' });
  });

  test('an unreachable store never leads to an acceptance', async () => {
    if (!stores.isCluster) return expect(backend).toBe('SQLite');
    const [port] = await closedPorts(1);
    const { token } = await stores.json('token', 'issue', '--sub', 'alice');
    const opened = await openVerifier({ ...options, timeout: '1s', redis: { nodes: `127.0.0.1:${port}` } });
    closers.push(opened.close);
    const unreachable = { kind: 'unavailable', code: 'ERR_REDIS_UNREACHABLE' };
    await expect(opened.verify(token)).rejects.toMatchObject(unreachable);
    expect(await opened.verify('x')).toMatchObject({ active: false, error: { code: 'ERR_TOKEN_MALFORMED' } });
    const mysql = openVerifier({
      ...options,
      timeout: '1s',
      mysql: { url: `mysql://u:Secr3t@127.0.0.1:${port}/d` },
    });
    const error = await mysql.catch((reason: unknown) => reason);
    expect(error).toMatchObject({ kind: 'unavailable', code: 'ERR_MYSQL_UNREACHABLE' });
    expect(String(error)).not.toContain('Secr3t');
  });

  test('a verifier over custom stores makes the same four checks', async () => {
    const { token, jti, kid, iat, exp } = await stores.json('token', 'issue', '--sub', 'alice');
    const { jwk } = await stores.json('keys', 'show', kid);
    let tokenStatus = {
      entry: { kid, iat, exp } as { kid: string; iat: number; exp: number } | null,
      revoked: false,
    };
    let user: 'enabled' | 'disabled' | 'unknown' = 'enabled';
    let now = iat;
    const asked: unknown[] = [];
    const { verify } = createVerifier({
      findKey: async (wanted) => (wanted === kid ? { kid, alg: 'RS256', state: 'active', jwk } : null),
      findStatus: async (about) => {
        asked.push(about);
        return { ...tokenStatus, user };
      },
      policy: { issuer: 'jwtctl', audience: 'user', clockToleranceSeconds: 5 },
      now: () => now,
    });
    const code = async (candidate = token) => {
      const result = await verify(candidate);
      return result.active ? 'active' : result.error.code;
    };

    expect(await code()).toBe('active');
    expect(asked).toEqual([{ sub: 'alice', jti, kid, iat, exp }]);
    expect(await code(`${token.slice(0, -8)}AAAAAAAA`)).toBe('ERR_SIGNATURE_INVALID');
    now = exp + 5;
    expect(await code()).toBe('ERR_TOKEN_EXPIRED');
    expect(asked).toHaveLength(1);
    now = iat;
    user = 'disabled';
    expect(await code()).toBe('ERR_USER_DISABLED');
    user = 'unknown';
    expect(await code()).toBe('ERR_USER_UNKNOWN');
    tokenStatus = { entry: null, revoked: false };
    expect(await code()).toBe('ERR_TOKEN_NOT_REGISTERED');
    tokenStatus = { entry: { kid, iat, exp }, revoked: true };
    expect(await code()).toBe('ERR_TOKEN_REVOKED');
  });
});

test('importing the library loads neither the command line nor a driver', async () => {
  const home = temporaryFolder();
  mkdirSync(join(home, 'data'));
  const log = join(home, 'imports.log');
  const env = { HOME: home, XDG_DATA_HOME: join(home, 'data'), IMPORT_LOG: log };
  const program = `
    const { openVerifier, JwtctlError } = await import('${DIST}');
    const error = await openVerifier().catch((reason) => reason);
    if (!(error instanceof JwtctlError)) throw error;
    console.log(error.code);`;
  const words = ['--import', HOOK, '--input-type=module', '-e', program];
  const { stdout, stderr } = await spawnProgram(process.execPath, words, { env });

  expect({ stdout, stderr }).toEqual({ stdout: 'ERR_NO_STORE\n', stderr: '' });
  const loaded = readFileSync(log, 'utf8');
  expect(loaded).toContain('/dist/index.js');
  for (const absent of ['commander', 'inquirer', 'mysql2', 'ioredis', 'chalk', 'cli-table3']) {
    expect(loaded).not.toContain(`node_modules/${absent}/`);
  }
});
