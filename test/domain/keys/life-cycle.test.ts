import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { activateKey } from '../../../src/domain/keys/activate.js';
import { generateKeys } from '../../../src/domain/keys/generate.js';
import { retireKey } from '../../../src/domain/keys/retire.js';
import { countKeyUsage } from '../../../src/domain/keys/usage.js';
import { type EmbeddedService, openEmbeddedService, POLICY } from '../../support/embedded-service.js';

const LEAD = 600;
const HOLD = 60;

let service: EmbeddedService;

beforeEach(async () => {
  service = await openEmbeddedService();
  const options = { alg: 'RS256', bits: 2048, count: 1, maxTtlSeconds: POLICY.maxTtlSeconds } as const;
  await generateKeys(service.ports, { ...options, kid: 'k2' });
});
afterEach(() => service.close());

const activate = (kid: string, options: { now?: boolean; dryRun?: boolean } = {}) =>
  activateKey(service.ports, {
    kid,
    policy: { ...POLICY, publishLeadSeconds: LEAD },
    now: false,
    dryRun: false,
    ...{ alg: 'RS256', bits: 2048 },
    ...options,
  });
const retire = (kid: string, options: { force?: boolean; dryRun?: boolean } = {}) =>
  retireKey(service.ports, {
    kid,
    force: false,
    dryRun: false,
    clockToleranceSeconds: POLICY.clockToleranceSeconds,
    ...options,
  });
const stateOf = async (kid: string) => (await service.database.keys.find(kid))?.state;
const refusal = (code: string) => ({ kind: 'state', code });

async function audited(action: string): Promise<Array<[string, string, string | null]>> {
  const rows = await service.db.selectFrom('audit_log').selectAll().where('action', '=', action).execute();
  return rows.map(({ target, outcome, reason }) => [target, outcome, reason]);
}

describe('activate', () => {
  test('activates a key after the publish lead, and tokens of the previous key stay valid', async () => {
    const old = await service.issueTo('alice');
    service.clock.advance(LEAD);
    const { key, isNotPrePublished, published } = await activate('k2');
    expect(key).toMatchObject({ kid: 'k2', state: 'active', activatedAt: service.clock.now() });
    expect(isNotPrePublished).toBe(false);
    expect(await stateOf('k1')).toBe('retiring');
    expect(await service.verdict(old.token)).toBe('active');
    expect((await service.issuer().issue({ sub: 'alice' })).kid).toBe('k2');
    expect(await audited('keys.activate')).toEqual([
      ['k1', 'retiring', null],
      ['k2', 'active', null],
      [published, 'pending', null],
    ]);
  });

  test('refuses a key before the publish lead is over, unless `now` is set', async () => {
    service.clock.advance(LEAD - 1);
    await expect(activate('k2')).rejects.toMatchObject(refusal('ERR_KEY_NOT_PUBLISHED'));
    expect(await stateOf('k1')).toBe('active');
    const { key, isNotPrePublished, published } = await activate('k2', { now: true });
    expect([key.state, isNotPrePublished]).toEqual(['active', true]);
    expect(await audited('keys.activate')).toEqual([
      ['k1', 'retiring', 'forced'],
      ['k2', 'active', 'forced'],
      [published, 'pending', 'forced'],
    ]);
  });

  test('leaves the active key unchanged, and refuses a retiring or unknown key', async () => {
    expect(await activate('k1')).toMatchObject({ key: { state: 'active' }, published: null });
    await activate('k2', { now: true });
    await expect(activate('k1', { now: true })).rejects.toMatchObject(refusal('ERR_KEY_NOT_PENDING'));
    await expect(activate('k3')).rejects.toMatchObject({ kind: 'not_found', code: 'ERR_KEY_UNKNOWN' });
  });

  test('shows the outcome in a dry run and changes nothing', async () => {
    const before = await service.database.keys.snapshot();
    expect(await activate('k2', { now: true, dryRun: true })).toMatchObject({
      ...{ key: { kid: 'k2', state: 'active' }, isNotPrePublished: true, published: null },
    });
    expect(await service.database.keys.snapshot()).toEqual(before);
  });

  test('leaves one active key after concurrent activations', async () => {
    const ended = await Promise.allSettled(Array.from({ length: 6 }, () => activate('k2', { now: true })));
    expect(ended.some(({ status }) => status === 'fulfilled')).toBe(true);
    const { keys } = await service.database.keys.snapshot();
    expect(keys.map(({ kid, state }) => [kid, state])).toEqual([
      ['k1', 'retiring'],
      ['k2', 'active'],
      [expect.any(String), 'pending'],
    ]);
  });

  test('publishes no key if another one is pending', async () => {
    const options = { alg: 'RS256', bits: 2048, count: 1, maxTtlSeconds: POLICY.maxTtlSeconds } as const;
    await generateKeys(service.ports, { ...options, kid: 'k3' });
    expect((await activate('k2', { now: true })).published).toBeNull();
    expect((await service.database.keys.snapshot()).keys).toHaveLength(3);
  });
});

describe('retire', () => {
  test('refuses the active key', async () => {
    await expect(retire('k1', { force: true })).rejects.toMatchObject(refusal('ERR_KEY_ACTIVE'));
  });

  test('retires a pending key', async () => {
    expect(await retire('k2')).toMatchObject({ state: 'retired', masterKeyId: null });
    expect(await service.database.keys.findSealed('k2')).toBeNull();
    expect(await audited('keys.retire')).toEqual([['k2', 'retired', null]]);
  });

  test('refuses a key that an issuer may still sign with', async () => {
    await activate('k2', { now: true });
    service.clock.advance(HOLD - 1);
    await expect(retire('k1')).rejects.toMatchObject(refusal('ERR_KEY_RECENTLY_ACTIVE'));
    service.clock.advance(1);
    expect(await retire('k1')).toMatchObject({ state: 'retired' });
  });

  test('names a single live token in the singular', async () => {
    const message = async () => (await retire('k1').catch((error) => error)).message;
    await service.issueTo('alice');
    await activate('k2', { now: true });
    service.clock.advance(HOLD);
    expect(await message()).toMatch(/^Key k1 has 1 live token of 1 subject; /);
  });

  test('refuses a key with live tokens, and reports tokens, subjects, and last expiry', async () => {
    await service.issueTo('alice');
    await service.issueTo('alice');
    const last = await service.issueTo('bob');
    await activate('k2', { now: true });
    service.clock.advance(HOLD);
    await expect(retire('k1')).rejects.toMatchObject({
      ...refusal('ERR_KEY_IN_USE'),
      details: { kid: 'k1', tokens: 3, subjects: 2, lastExp: last.exp },
    });
    expect(await service.verdict(last.token)).toBe('active');

    expect(await retire('k1', { force: true })).toMatchObject({ state: 'retired' });
    // By then, a running verifier has read its keys again.
    service.clock.advance(30);
    expect(await service.verdict(last.token)).toBe('ERR_KEY_NOT_TRUSTED');
    expect(await audited('keys.retire')).toEqual([['k1', 'retired', 'forced']]);
    expect(await retire('k1')).toMatchObject({ state: 'retired' });
  });

  test('retires a key after its last token expired, before verifyUntil', async () => {
    const { exp } = await service.issueTo('alice');
    await activate('k2', { now: true });
    service.clock.advance(exp + POLICY.clockToleranceSeconds - service.clock.now());
    const key = await service.database.keys.find('k1');
    expect(key?.verifyUntil).toBeGreaterThan(service.clock.now());
    expect(await retire('k1')).toMatchObject({ state: 'retired' });
  });

  test('refuses if part of the registry could not be read', async () => {
    await activate('k2', { now: true });
    service.clock.advance(HOLD);
    const missed = ['slots 0-99', 'all else (It is away.)'];
    const scan = async () => ({ complete: false, missed, nodes: [] });
    const input = { kid: 'k1', force: false, dryRun: false, clockToleranceSeconds: 0 };
    await expect(retireKey(service.withRegistry({ scan }), input)).rejects.toMatchObject({
      kind: 'partial',
      code: 'ERR_COUNT_INCOMPLETE',
      message: expect.stringMatching(/ the count is incomplete: slots 0-99; all else \(It is away\.\)$/),
    });
    expect(await stateOf('k1')).toBe('retiring');
  });
});

describe('usage', () => {
  const usage = async () => {
    const { keys } = await service.database.keys.snapshot();
    return countKeyUsage(service.ports, keys, POLICY);
  };

  test('counts tokens and subjects under each key, with the first and last expiry', async () => {
    const first = await service.issueTo('alice');
    service.clock.advance(7);
    await service.issueTo('alice');
    const last = await service.issueTo('bob');
    expect(await usage()).toMatchObject({
      at: service.clock.now(),
      complete: true,
      keys: [
        {
          kid: 'k1',
          state: 'active',
          tokens: 3,
          subjects: 2,
          firstExp: first.exp,
          lastExp: last.exp,
          retirableAt: null,
        },
        {
          kid: 'k2',
          state: 'pending',
          tokens: 0,
          subjects: 0,
          firstExp: null,
          lastExp: null,
          retirableAt: null,
        },
      ],
    });
  });

  test('allows retiring after the last token expires, but not while an issuer may sign with the key', async () => {
    const { exp } = await service.issueTo('alice');
    await activate('k2', { now: true });
    const demotedAt = service.clock.now();
    expect((await usage()).keys[0]?.retirableAt).toBe(exp + POLICY.clockToleranceSeconds);
    await service.registry.remove('alice', {}, service.clock.now());
    expect((await usage()).keys[0]?.retirableAt).toBe(demotedAt + HOLD);
  });
});
