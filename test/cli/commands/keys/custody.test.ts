import { randomBytes } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { cli } from '../../../support/cli.js';
import { BACKENDS, openStores, type Stores } from '../../../support/stores.js';

describe.each(BACKENDS)('keys rewrap, on %s', (backend) => {
  let stores: Stores;
  let keyring = '';
  const oldLine = randomBytes(32).toString('base64');
  const newLine = randomBytes(32).toString('base64');

  beforeAll(async () => {
    stores = await openStores(backend);
    keyring = join(stores.home, 'keyring');
    stores.env.JWTCTL_MASTER_KEY_FILE = keyring;
    writeFileSync(keyring, `${oldLine}\n`, { mode: 0o600 });
    for (const kid of ['first', 'second', 'third']) await stores.json('keys', 'generate', '--kid', kid);
    await stores.json('keys', 'retire', 'third');
  });
  afterAll(() => stores?.close());

  async function listed(): Promise<Array<[string, string | null]>> {
    const keys = await stores.json('keys', 'list');
    return keys.map(({ kid, masterKeyId }: Record<string, string>) => [kid, masterKeyId]);
  }

  test('moves every private key under a new first line, and the old line can be removed', async () => {
    const [[, oldId]] = (await listed()) as [[string, string]];
    expect(await listed()).toEqual([
      ['first', oldId],
      ['second', oldId],
      ['third', null],
    ]);
    writeFileSync(keyring, `${newLine}\n${oldLine}\n`);
    const before = await stores.content();
    const planned = await stores.json('keys', 'rewrap', '--dry-run');
    expect(planned).toMatchObject({
      ...{ dryRun: true, rewrapped: [], wouldRewrap: ['first', 'second'], left: [] },
    });
    expect(await stores.content()).toBe(before);

    const { masterKeyId, ...report } = await stores.json('keys', 'rewrap');
    expect(masterKeyId).not.toBe(oldId);
    expect(report).toEqual({ rewrapped: ['first', 'second'], unchanged: [], failed: [], left: [] });
    expect(await listed()).toEqual([
      ['first', masterKeyId],
      ['second', masterKeyId],
      ['third', null],
    ]);
    expect((await stores.run('keys', 'list')).stdout).toContain(masterKeyId);
    expect(await stores.json('keys', 'rewrap')).toEqual({
      ...{ masterKeyId, rewrapped: [], unchanged: ['first', 'second'], failed: [], left: [] },
    });

    writeFileSync(keyring, `${newLine}\n`);
    expect(await stores.json('token', 'issue', '--sub', 'alice', '--create-user')).toMatchObject({
      kid: 'first',
    });
    expect(
      await stores.query("SELECT target, outcome FROM audit_log WHERE action = 'keys.rewrap' ORDER BY seq"),
    ).toEqual([
      { target: 'first', outcome: 'done' },
      { target: 'second', outcome: 'done' },
    ]);
  });

  test('stops after an interruption, and names the remaining keys', async () => {
    const { clock, home, env } = stores;
    const interrupted = cli({ clock, home, env, signal: AbortSignal.abort() });
    const { exitCode, stderr } = await interrupted.run('keys', 'rewrap', '-q');
    expect([exitCode, stderr]).toEqual([130, 'Not rewrapped: first, second. Run the same command again.\n']);
  });

  test('names keys under a lost master key, moves the others, and exits 5', async () => {
    writeFileSync(keyring, `${randomBytes(32).toString('base64')}\n`);
    await stores.json('keys', 'generate', '--kid', 'fourth');
    const fourth = readFileSync(keyring, 'utf8');
    writeFileSync(keyring, `${newLine}\n`);
    const { exitCode, json, stderr } = await stores.run('keys', 'rewrap', '--json');
    expect({ exitCode, ...json() }).toMatchObject({
      exitCode: 5,
      unchanged: ['first', 'second'],
      left: [],
      failed: [{ kid: 'fourth', code: 'ERR_MASTER_KEY_UNKNOWN' }],
    });
    expect(stderr).toMatch(/Add the missing key/);
    const quiet = await stores.run('keys', 'rewrap', '-q');
    expect([quiet.exitCode, quiet.stdout, quiet.stderr]).toEqual([5, '', stderr]);
    writeFileSync(keyring, `${newLine}\n${fourth}`);
    expect(await stores.json('keys', 'rewrap')).toMatchObject({ rewrapped: ['fourth'] });
  });
});
