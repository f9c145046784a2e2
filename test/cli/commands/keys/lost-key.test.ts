import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { BACKENDS, openStores, type Stores } from '../../../support/stores.js';

describe.each(BACKENDS)('a key lost by the database, on %s', (backend) => {
  let stores: Stores;
  let token = '';

  beforeAll(async () => {
    stores = await openStores(backend);
    await stores.json('keys', 'generate', '--kid', 'lost');
    const file = join(stores.home, 'lost.pem');
    await stores.json('keys', 'export', '--kid', 'lost', '--pem', '--private', '--out', file, '--yes');
    expect(readFileSync(file, 'utf8')).toContain('PRIVATE KEY');
    ({ token } = await stores.json('token', 'issue', '--sub', 'alice', '--create-user'));

    // The state after restoring a backup from before the key was created: no row, and the auto-increment starts over.
    await stores.query('DELETE FROM keystore');
    await stores.query(
      stores.isCluster
        ? 'ALTER TABLE keystore AUTO_INCREMENT = 1'
        : "DELETE FROM sqlite_sequence WHERE name = 'keystore'",
    );
    await stores.json('keys', 'generate', '--kid', 'next');
    await stores.json('token', 'issue', '--sub', 'bob', '--create-user');
  });
  afterAll(() => stores?.close());

  test('leaves tokens that are counted under an unknown key, not under a newer key', async () => {
    const { byKid, anomalies } = await stores.json('cache', 'inspect');
    expect(byKid).toMatchObject([
      { kid: 'next', state: 'active', entries: 1 },
      { kid: null, state: null, entries: 1 },
    ]);
    expect(anomalies.unknownKid).toBe(1);
    expect(await stores.json('keys', 'usage', '--kid', 'next')).toMatchObject({
      keys: [{ tokens: 1 }],
    });
    expect((await stores.run('token', 'verify', token, '--json')).exitCode).toBe(1);
  });

  test('is not affected by changes to a newer key', async () => {
    const report = await stores.json('token', 'revoke', '--kid', 'next', '--yes');
    expect(report).toMatchObject({ revoked: 1 });
    expect((await stores.json('token', 'list', '--sub', 'alice')).length).toBe(1);
  });

  test('gets its tokens back when it is imported again', async () => {
    await stores.json('keys', 'import', '--pem', join(stores.home, 'lost.pem'), '--kid', 'lost');
    expect(await stores.json('token', 'verify', token)).toMatchObject({ active: true });
    const { byKid, anomalies } = await stores.json('cache', 'inspect');
    expect(byKid).toMatchObject([{ kid: 'lost', entries: 1 }]);
    expect(anomalies.unknownKid).toBe(0);
  });
});

test.each(BACKENDS)('importing a purged key makes none of its tokens valid, on %s', async (backend) => {
  const stores = await openStores(backend);
  try {
    await stores.json('keys', 'generate', '--kid', 'old');
    const file = join(stores.home, 'old.pem');
    await stores.json('keys', 'export', '--kid', 'old', '--pem', '--private', '--out', file, '--yes');
    const { token } = await stores.json('token', 'issue', '--sub', 'alice', '--create-user');
    await stores.json('keys', 'rotate', '--now');
    await stores.json('keys', 'retire', 'old', '--force');
    await stores.json('keys', 'purge', '--yes');
    await stores.json('keys', 'import', '--pem', file, '--kid', 'old');

    const { exitCode, stdout } = await stores.run('token', 'verify', token, '--json');
    expect({ exitCode, code: JSON.parse(stdout).error?.code }).toEqual({
      exitCode: 1,
      code: 'ERR_TOKEN_REVOKED',
    });
  } finally {
    await stores.close();
  }
});
