import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { planting } from '../../../support/planting.js';
import { spawnCli } from '../../../support/spawned.js';
import { BACKENDS, openStores, type Stores } from '../../../support/stores.js';

const STALE_ENTRIES = 20;

describe.each(BACKENDS)('concurrent reconciles on %s', (backend) => {
  let stores: Stores;

  beforeAll(async () => {
    stores = await openStores(backend);
    const { kid } = await stores.json('keys', 'generate');
    const { plantEntry } = planting(stores);
    const [row] = await stores.query('SELECT id FROM keystore WHERE kid = ?', [kid]);
    for (let index = 0; index < STALE_ENTRIES; index++) {
      const sub = `user-${index}`;
      const { jti, iat, exp } = await stores.json('token', 'issue', '--sub', sub, '--create-user');
      await stores.json('token', 'revoke', '--sub', sub, '--all', '--yes');
      await plantEntry(sub, { keyId: Number(row?.id), jti, iat, exp });
    }
  });
  afterAll(() => stores?.close());

  async function run(...words: string[]) {
    const { exitCode, stderr, json } = await spawnCli([...words, '--json'], {
      env: stores.env,
      killAfterMs: 120_000,
    });
    expect({ words, exitCode, stderr }).toMatchObject({ exitCode: 0 });
    return json();
  }

  test('keep tokens issued meanwhile, and remove each invalid entry once', async () => {
    const issuing = Array.from({ length: 6 }, (_, index) =>
      run('token', 'issue', '--sub', `new-${index}`, '--create-user'),
    );
    const reconciling = Array.from({ length: 4 }, () => run('cache', 'reconcile'));
    await run('keys', 'rotate', '--now');
    const late = run('token', 'issue', '--sub', 'late', '--create-user');

    const reports = await Promise.all(reconciling);
    expect(reports.map(({ complete }) => complete)).toEqual([true, true, true, true]);
    expect(reports.reduce((sum, { dropped }) => sum + dropped.revoked, 0)).toBe(STALE_ENTRIES);
    for (const { token } of [...(await Promise.all(issuing)), await late]) {
      expect(await run('token', 'verify', token)).toMatchObject({ active: true });
    }
  }, 150_000);
});
