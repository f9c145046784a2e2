import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { BACKENDS, openStores, type Stores } from '../../../support/stores.js';

describe.each(BACKENDS)('the life cycle of a key, on %s', (backend) => {
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

  test('usage counts its tokens, retire refuses it meanwhile, and --force retires it', async () => {
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
      { kid: expect.any(String), state: 'pending', tokens: 0 },
    ]);
    const [listed] = await stores.json('keys', 'list');
    expect(usage.keys[0].verifyUntil).toBe(listed.verifyUntil);
    expect(usage.keys[0].retirableAt).toBeLessThan(listed.verifyUntil);
    const { stdout } = await stores.run('keys', 'usage', '--kid', 'first');
    expect(stdout).toMatch(/first +retiring +3 +3/);
    expect(stdout).toMatch(/RETIRABLE FROM +VERIFIES UNTIL/);
    expect(stdout.replace(/\s+/g, ' ')).toContain('RETIRABLE FROM is when');
    expect((await stores.run('keys', 'usage', '--kid', 'second')).stdout).not.toContain('RETIRABLE FROM is');

    const active = await stores.run('keys', 'retire', 'second', '--json');
    expect([active.exitCode, active.error().code]).toEqual([3, 'ERR_KEY_ACTIVE']);
    stores.clock.advance(60);
    const used = await stores.run('keys', 'retire', 'first', '--json');
    expect([used.exitCode, used.error().code]).toEqual([3, 'ERR_KEY_IN_USE']);
    expect(used.error().message).toMatch(/3 live tokens of 3 subjects/);
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
    // The active key, and the pending one published by the rotation.
    expect(keys.map((key: { kid: string }) => key.kid)).toEqual(['second', expect.any(String)]);
  });
});

describe.each(BACKENDS)('keys rotate --wait, on %s', (backend) => {
  let stores: Stores;
  beforeAll(async () => {
    stores = await openStores(backend, { JWTCTL_KEYS_PUBLISH_LEAD: '10m' });
    await stores.json('keys', 'generate', '--kid', 'first');
  });
  afterAll(() => stores?.close());

  test('reports the wait and its reason, and activates the key only after the publish lead', async () => {
    const begun = stores.clock.now();
    const { exitCode, json, stderr } = await stores.run('keys', 'rotate', '--now', '--wait', '--json');
    expect({ exitCode, stderr, ...json() }).toMatchObject({
      ...{ exitCode: 0, stderr: '', rotated: true, reason: 'forced', previous: 'first' },
    });
    const { active } = json();
    const signsFrom = stores.clock.now();
    expectLead(signsFrom - begun);
    expect(await stores.json('keys', 'show', active)).toMatchObject({
      ...{ state: 'active', createdAt: begun, activatedAt: signsFrom },
    });

    // Half of the next key's publish lead is over.
    stores.clock.advance(300);
    const again = await stores.run('keys', 'rotate', '--if-older-than', '1s', '--wait', '-q');
    expect([again.exitCode, again.stderr]).toEqual([0, '']);
    expectLead(stores.clock.now() - signsFrom);

    stores.clock.advance(300);
    const [next] = (await stores.run('keys', 'list', '--state', 'pending', '-q')).lines();
    const told = await stores.run('keys', 'rotate', '--now', '--wait');
    expect(told.stderr).toContain(`Waiting 5m until the publish lead of key ${next} is over.\n`);
    expect(told.stderr).not.toMatch(/before its publish lead/);
  });

  /** A cluster needs a few more seconds, because running verifiers may have to report again. */
  function expectLead(seconds: number): void {
    expect(seconds).toBeGreaterThanOrEqual(600);
    expect(seconds).toBeLessThanOrEqual(backend === 'SQLite' ? 600 : 604);
  }

  test('does not wait if no rotation is due, or in a dry run', async () => {
    const before = stores.clock.now();
    expect(await stores.json('keys', 'rotate', '--wait')).toMatchObject({ reason: 'not_due' });
    expect(await stores.json('keys', 'rotate', '--now', '--wait', '-n')).toMatchObject({
      ...{ reason: 'waiting', wouldRotate: false, dryRun: true },
    });
    expect(stores.clock.now()).toBe(before);
  });
});
