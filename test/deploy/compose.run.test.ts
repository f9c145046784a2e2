import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { type ComposeRun, composeUp } from '../support/compose.js';
import { get } from '../support/served.js';
import { bearer } from '../support/serving.js';

/** compose.yaml from nothing: see `composeUp`. */
let compose: ComposeRun;

beforeAll(async () => {
  compose = await composeUp();
});
afterAll(() => compose?.stop());

async function jwtctl(service: string, ...argv: string[]): Promise<string> {
  const { exitCode, stdout, stderr } = await compose.exec(service, 'jwtctl', ...argv);
  expect([exitCode, stderr]).toEqual([0, '']);
  return stdout.trim();
}

const verify = async (token: string) => (await get(compose.port, '/verify', bearer(token))).status;

test('serves tokens that its commands issue, before and after a rotation', async () => {
  await jwtctl('serve', 'users', 'add', 'alice');
  const first = await jwtctl('serve', 'token', 'issue', '--sub', 'alice');
  expect(await verify(first)).toBe(200);
  const [{ kid: firstKid }] = JSON.parse(
    await jwtctl('serve', 'keys', 'list', '--state', 'active', '--json'),
  );

  // The job has published the next key by itself.
  const pending = await vi.waitFor(
    async () => {
      const [key] = JSON.parse(await jwtctl('serve', 'keys', 'list', '--state', 'pending', '--json'));
      return key.kid;
    },
    { timeout: 15_000 },
  );
  expect((await compose.exec('rotate', 'jwtctl', 'keys', 'rotate', '--now')).exitCode).toBe(0);
  const second = await jwtctl('serve', 'token', 'issue', '--sub', 'alice');
  expect(kidOf(second)).toBe(pending);
  expect(pending).not.toBe(firstKid);
  expect([await verify(first), await verify(second)]).toEqual([200, 200]);
  await jwtctl('serve', 'token', 'revoke', '--sub', 'alice', '--all', '--yes');
  expect([await verify(first), await verify(second)]).toEqual([401, 401]);
});

function kidOf(token: string): string {
  return JSON.parse(Buffer.from(token.split('.')[0] ?? '', 'base64url').toString()).kid;
}

test('passes every check of doctor, with grants that keep the audit log as it is', {
  timeout: 90_000,
}, async () => {
  // The cluster reports a new replica as loading until its first data arrives.
  await vi.waitFor(
    async () => {
      const report = JSON.parse(await jwtctl('serve', 'doctor', '--json'));
      expect(report).toMatchObject({ ok: true, errors: 0, warnings: 0 });
    },
    { timeout: 60_000, interval: 500 },
  );
  const pruned = await compose.exec(
    'serve',
    'jwtctl',
    'audit',
    'prune',
    '--older-than',
    '1s',
    '--yes',
    '--json',
  );
  expect(pruned.error().code).toBe('ERR_MYSQL_FORBIDDEN');
});

test('a second start changes no secret, no cluster, and no key', async () => {
  const before = ['master.key', 'mysql-password'].map((file) => compose.readVolume('jwtctl-secrets', file));
  const keys = await jwtctl('serve', 'keys', 'list', '--json');
  for (const service of ['secrets', 'redis-cluster', 'migrate', 'grants']) {
    const { exitCode, stderr } = await compose.again(service);
    expect([service, exitCode, stderr]).toEqual([service, 0, '']);
  }
  const after = ['master.key', 'mysql-password'].map((file) => compose.readVolume('jwtctl-secrets', file));
  expect(after).toEqual(before);
  expect(await jwtctl('serve', 'keys', 'list', '--json')).toBe(keys);
});
