import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { BACKENDS, openStores, type Stores } from '../support/stores.js';

describe.each(BACKENDS)('the life of a key, on %s', (backend) => {
  let stores: Stores;

  beforeAll(async () => {
    stores = await openStores(backend);
    await stores.json('keys', 'generate', '--kid', 'first');
    await stores.json('keys', 'generate', '--kid', 'second');
    for (const sub of ['alice', 'bob', 'carol']) {
      await stores.json('token', 'issue', '--sub', sub, '--create-user', '--ttl', '10m');
    }
  });
  afterAll(() => stores?.close());

  test('is told by usage, refused while tokens live, and ended by force', async () => {
    const early = await stores.run('keys', 'activate', 'second', '--json');
    expect([early.exitCode, early.error().code]).toEqual([3, 'ERR_KEY_NOT_PUBLISHED']);
    expect(await stores.json('keys', 'activate', 'second', '--now', '--dry-run')).toMatchObject({
      dryRun: true,
    });
    expect(await stores.json('keys', 'activate', 'second', '--now')).toMatchObject({
      kid: 'second',
      state: 'active',
    });

    const usage = await stores.json('keys', 'usage');
    expect(usage.complete).toBe(true);
    expect(usage.keys).toMatchObject([
      { kid: 'first', state: 'retiring', tokens: 3, subjects: 3 },
      { kid: 'second', state: 'active', tokens: 0, subjects: 0, lastExp: null, retirableAt: null },
    ]);
    expect((await stores.run('keys', 'usage', '--kid', 'first')).stdout).toMatch(/first +retiring +3 +3/);

    const active = await stores.run('keys', 'retire', 'second', '--json');
    expect([active.exitCode, active.error().code]).toEqual([3, 'ERR_KEY_ACTIVE']);
    stores.clock.advance(60);
    const used = await stores.run('keys', 'retire', 'first', '--json');
    expect([used.exitCode, used.error().code]).toEqual([3, 'ERR_KEY_IN_USE']);
    expect(used.error().message).toMatch(/3 tokens of 3 subjects/);
    expect(await stores.json('keys', 'retire', 'first', '--force', '--dry-run')).toMatchObject({
      dryRun: true,
    });
    expect(await stores.json('keys', 'retire', 'first', '--force')).toMatchObject({
      state: 'retired',
      masterKeyId: null,
    });

    const unknown = await stores.run('keys', 'retire', 'third', '--json');
    expect([unknown.exitCode, unknown.error().code]).toEqual([3, 'ERR_KEY_UNKNOWN']);
    const { keys } = JSON.parse((await stores.run('keys', 'export', '--jwks')).stdout);
    expect(keys.map((key: { kid: string }) => key.kid)).toEqual(['second']);
  });
});
