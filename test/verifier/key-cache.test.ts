import { beforeEach, describe, expect, test } from 'vitest';
import type { SigningKey } from '../../src/domain/model/signing-key.js';
import type { KeySnapshot } from '../../src/domain/ports/index.js';
import { JwtctlError } from '../../src/domain/shared/errors.js';
import { KeyCache } from '../../src/verifier/key-cache.js';
import { ManualClock } from '../support/clock.js';
import { rsaPair } from '../support/signing.js';
import { signingKey } from '../support/signing-keys.js';

const { publicKey } = rsaPair();
const PEM = publicKey.export({ type: 'spki', format: 'pem' }).toString();

let clock: ManualClock;
let stored: SigningKey[];
let reads: number;
let answer: () => Promise<void>;
let keyCache: KeyCache;
/** Null to raise it with each read. */
let revision: number | null;
let recoveredAt: number;

beforeEach(() => {
  clock = new ManualClock();
  stored = [key('k1')];
  reads = 0;
  revision = null;
  recoveredAt = 0;
  answer = async () => {};
  keyCache = new KeyCache({ snapshot: keySnapshot }, clock);
});

async function keySnapshot(): Promise<KeySnapshot> {
  reads += 1;
  const keys = [...stored];
  await answer();
  return { revision: revision ?? reads, recoveredAt, keys };
}

function key(kid: string, parts: Partial<SigningKey> = {}): SigningKey {
  return signingKey({ kid, state: 'active', publicKey: PEM, ...parts });
}

/** Delays reads until `release` is called. */
function holdReads(): { release: () => void } {
  let release = () => {};
  const released = new Promise<void>((resolve) => {
    release = resolve;
  });
  answer = () => released;
  return { release };
}

test('does not read before the first lookup', () => {
  expect(reads).toBe(0);
});

test('leaves out a key whose row is broken, warns once, and keeps the others', async () => {
  const warnings: string[] = [];
  keyCache = new KeyCache({ snapshot: keySnapshot }, clock, { warn: (text) => warnings.push(text) });
  stored = [key('k1'), key('k2', { state: 'retiring', publicKey: 'not a PEM' })];

  expect(await keyCache.find('k1')).toMatchObject({ kid: 'k1' });
  expect(keyCache.peek('k2')).toBeUndefined();
  clock.advance(60);
  await keyCache.find('k1');

  expect(warnings).toEqual([
    expect.stringMatching(/public_key of key k2 .* Tokens under this key are refused\.$/),
  ]);
});

test('returns only the fields that a verification needs', async () => {
  const { n, e } = publicKey.export({ format: 'jwk' });
  expect(await keyCache.find('k1')).toEqual({
    id: stored[0]?.id,
    kid: 'k1',
    alg: 'RS256',
    state: 'active',
    publicKey: PEM,
    isVerifyOnly: false,
    jwk: { kty: 'RSA', kid: 'k1', use: 'sig', alg: 'RS256', n, e },
  });
});

test('finds retired and compromised keys', async () => {
  stored = [key('r', { state: 'retired' }), key('c', { state: 'compromised' })];
  expect(await keyCache.find('r')).toMatchObject({ state: 'retired' });
  expect(await keyCache.find('c')).toMatchObject({ state: 'compromised' });
});

test('compares kids byte for byte', async () => {
  await keyCache.find('k1');
  clock.advance(1);
  expect(await keyCache.find('K1')).toBeNull();
});

describe('known keys', () => {
  test('are not read again within 30 s', async () => {
    await keyCache.find('k1');
    clock.advance(29);
    await keyCache.find('k1');
    expect(reads).toBe(1);
  });

  test('are read again after 30 s, so that a new state takes effect without a restart', async () => {
    await keyCache.find('k1');
    stored = [{ ...(stored[0] as SigningKey), state: 'compromised' }];
    clock.advance(29);
    expect(await keyCache.find('k1')).toMatchObject({ state: 'active' });
    clock.advance(1);
    expect(await keyCache.find('k1')).toMatchObject({ state: 'compromised' });
    expect(reads).toBe(2);
  });

  test('are unknown after they are purged', async () => {
    await keyCache.find('k1');
    stored = [];
    clock.advance(30);
    expect(await keyCache.find('k1')).toBeNull();
  });

  test('are read again after the clock was set back', async () => {
    clock.advance(3600);
    await keyCache.find('k1');
    stored = [{ ...(stored[0] as SigningKey), state: 'compromised' }];
    clock.advance(-3600);
    expect(await keyCache.find('k1')).toMatchObject({ state: 'compromised' });
    clock.advance(30);
    await keyCache.find('k1');
    expect(reads).toBe(3);
  });

  test('are read once for lookups at the same time', async () => {
    const { release } = holdReads();
    const finding = Promise.all(Array.from({ length: 50 }, () => keyCache.find('k1')));
    release();
    expect((await finding).every((found) => found?.kid === 'k1')).toBe(true);
    expect(reads).toBe(1);
  });
});

describe('the object of a key', () => {
  test('stays the same while the key does not change', async () => {
    const before = await keyCache.find('k1');
    for (let round = 0; round < 3; round++) {
      clock.advance(30);
      stored = stored.map((one) => ({ ...one }));
      expect(await keyCache.find('k1')).toBe(before);
    }
    expect(reads).toBe(4);
  });

  test('is new if the state changes', async () => {
    const before = await keyCache.find('k1');
    stored = [{ ...(stored[0] as SigningKey), state: 'retiring' }];
    clock.advance(30);
    const after = await keyCache.find('k1');
    expect(after).not.toBe(before);
    expect(before).toMatchObject({ state: 'active' });
    expect(after).toMatchObject({ state: 'retiring' });
  });

  test('is new for another key with the same kid', async () => {
    const before = await keyCache.find('k1');
    const other = rsaPair().publicKey.export({ type: 'spki', format: 'pem' }).toString();
    stored = [key('k1', { publicKey: other })];
    clock.advance(30);
    const after = await keyCache.find('k1');
    expect(after?.id).toBe(stored[0]?.id);
    expect(after?.jwk.n).not.toBe(before?.jwk.n);
  });
});

test('another public key with the same id and kid is a new object', async () => {
  const before = await keyCache.find('k1');
  const otherKey = rsaPair().publicKey;
  const other = otherKey.export({ type: 'spki', format: 'pem' }).toString();
  stored = [{ ...(stored[0] as SigningKey), publicKey: other }];
  clock.advance(30);
  const after = await keyCache.find('k1');
  expect(after).not.toBe(before);
  expect(after?.jwk.n).toBe(otherKey.export({ format: 'jwk' }).n);
});

describe('an unknown kid', () => {
  test('causes a read, so that a new key is found without a restart', async () => {
    await keyCache.find('k1');
    stored = [...stored, key('k2', { state: 'pending' })];
    clock.advance(1);
    expect(await keyCache.find('k2')).toMatchObject({ kid: 'k2', state: 'pending' });
    expect(reads).toBe(2);
  });

  test('waits until a second after the last read', async () => {
    await keyCache.find('k1');
    stored = [...stored, key('k2')];
    const finding = keyCache.find('k2');
    expect(await clock.awaited()).toEqual([clock.now() + 1]);
    expect(reads).toBe(1);
    clock.advance(1);
    expect(await finding).toMatchObject({ kid: 'k2' });
    expect(reads).toBe(2);
  });

  test('causes at most one read per second', async () => {
    await keyCache.find('k1');
    const finding = Promise.all(Array.from({ length: 16 }, (_, index) => keyCache.find(`invented-${index}`)));
    await clock.awaited();
    clock.advance(1);
    expect((await finding).every((found) => found === null)).toBe(true);
    expect(reads).toBe(2);
  });

  test('does not delay lookups of known keys', async () => {
    await keyCache.find('k1');
    const finding = keyCache.find('invented');
    await clock.awaited();
    expect(await keyCache.find('k1')).toMatchObject({ kid: 'k1' });
    clock.advance(1);
    expect(await finding).toBeNull();
  });

  test('causes one read on the first lookup', async () => {
    expect(await keyCache.find('k9')).toBeNull();
    expect(reads).toBe(1);
  });
});

describe('a store that is down', () => {
  const failure = new Error('the store is down');

  test('fails every waiting lookup, and is asked again later', async () => {
    answer = () => Promise.reject(failure);
    const outcomes = await Promise.allSettled([keyCache.find('k1'), keyCache.find('k1')]);
    expect(outcomes).toEqual([
      { status: 'rejected', reason: failure },
      { status: 'rejected', reason: failure },
    ]);
    expect(reads).toBe(1);
    answer = async () => {};
    clock.advance(1);
    expect(await keyCache.find('k1')).toMatchObject({ kid: 'k1' });
  });

  test('is asked at most once per second for unknown kids', async () => {
    await keyCache.find('k1');
    answer = () => Promise.reject(failure);
    clock.advance(1);
    for (let index = 0; index < 100; index++) {
      await expect(keyCache.find(`invented-${index}`)).rejects.toBe(failure);
    }
    expect(reads).toBe(2);
    clock.advance(1);
    await expect(keyCache.find('invented')).rejects.toBe(failure);
    expect(reads).toBe(3);
  });

  test('fails lookups of outdated keys', async () => {
    await keyCache.find('k1');
    answer = () => Promise.reject(failure);
    clock.advance(29);
    expect(await keyCache.find('k1')).toMatchObject({ kid: 'k1' });
    clock.advance(1);
    await expect(keyCache.find('k1')).rejects.toBe(failure);
  });
});

describe('keys with maxAgeSeconds', () => {
  const failure = new JwtctlError('ERR_MYSQL_UNREACHABLE', 'The store is down.');

  beforeEach(async () => {
    keyCache = new KeyCache({ snapshot: keySnapshot }, clock, { maxAgeSeconds: 300 });
    await keyCache.find('k1');
    answer = () => Promise.reject(failure);
  });

  test('are used without a read until that age', async () => {
    clock.advance(299);
    expect(await keyCache.find('k1')).toMatchObject({ kid: 'k1' });
    clock.advance(1);
    await expect(keyCache.find('k1')).rejects.toBe(failure);
    answer = async () => {};
    clock.advance(1);
    expect(await keyCache.find('k1')).toMatchObject({ kid: 'k1' });
  });

  test('fail lookups of unknown kids while the store is down', async () => {
    clock.advance(1);
    await expect(keyCache.find('k2')).rejects.toBe(failure);
  });
});

test('lets 16 tokens with unknown kids wait, and refuses others at once', async () => {
  await keyCache.find('k1');
  const finding = Array.from({ length: 1_000 }, (_, index) => keyCache.find(`invented-${index}`));
  for (const refused of finding.slice(16))
    await expect(refused).rejects.toMatchObject({ kind: 'unavailable', code: 'ERR_VERIFIER_OVERLOADED' });
  // Known keys are found at any time. After the read, the next unknown kid can wait.
  expect(await keyCache.find('k1')).toMatchObject({ kid: 'k1' });
  stored = [...stored, key('k2')];
  await clock.awaited();
  clock.advance(1);
  expect(await Promise.all(finding.slice(0, 16))).toEqual(Array(16).fill(null));
  expect(await keyCache.find('k2')).toMatchObject({ kid: 'k2' });
  expect(reads).toBe(2);
});

test('lets 16 tokens wait for a hung key store, and refuses others at once', async () => {
  await keyCache.find('k1');
  clock.advance(1);
  const { release } = holdReads();
  const finding = Array.from({ length: 1_000 }, (_, index) => keyCache.find(`invented-${index}`));
  await expect(finding.at(-1)).rejects.toMatchObject({ code: 'ERR_VERIFIER_OVERLOADED' });
  await expect(finding[16]).rejects.toMatchObject({ code: 'ERR_VERIFIER_OVERLOADED' });
  release();
  await Promise.allSettled(finding);
});

test('lets at most 10,000 tokens wait while the keys are outdated', async () => {
  const { release } = holdReads();
  const finding = Array.from({ length: 10_001 }, () => keyCache.find('k1'));
  await expect(finding.at(-1)).rejects.toMatchObject({
    kind: 'unavailable',
    code: 'ERR_VERIFIER_OVERLOADED',
  });
  release();
  expect((await Promise.all(finding.slice(0, -1))).every((found) => found?.kid === 'k1')).toBe(true);
});

test('does not read for a kid that no key can have', async () => {
  for (const kid of ['', 'a\nb', 'k\ud800', 'k'.repeat(256)]) expect(await keyCache.find(kid)).toBeNull();
  expect(reads).toBe(0);
});

test('reads again if the current read began before the key was created', async () => {
  await keyCache.find('k1');
  clock.advance(1);
  const { release } = holdReads();
  const before = keyCache.refresh();
  // The read has its data already, and the key is created after that.
  await Promise.resolve();
  stored = [...stored, key('k2')];
  const finding = keyCache.find('k2');
  const refreshed = keyCache.refresh();
  release();
  await before;
  await refreshed;
  expect(keyCache.peek('k2')).toMatchObject({ kid: 'k2' });
  clock.advance(1);
  expect(await finding).toMatchObject({ kid: 'k2' });
});

test('peek does not read, and refresh reads at once', async () => {
  expect(keyCache.peek('k1')).toBeUndefined();
  await keyCache.refresh();
  expect(keyCache.peek('k1')).toBe(await keyCache.find('k1'));
  stored = [...stored, key('k2', { state: 'pending' }), key('k3', { state: 'retired' })];
  await keyCache.refresh();
  expect(keyCache.trusted.map(({ kid }) => kid)).toEqual(['k1', 'k2']);
  expect(keyCache.active).toEqual({ kid: 'k1', activatedAt: 0 });
  expect(reads).toBe(2);
});

describe('a key store restored from a backup', () => {
  async function read(keys: SigningKey[], at: { revision: number; recoveredAt?: number }) {
    stored = keys;
    revision = at.revision;
    recoveredAt = at.recoveredAt ?? 0;
    await keyCache.refresh();
    return Object.fromEntries(['k1', 'k2'].map((kid) => [kid, keyCache.peek(kid)?.state]));
  }

  test('does not restore a compromised key, and drops none', async () => {
    await read([key('k1', { state: 'compromised' }), key('k2')], { revision: 7 });
    expect(keyCache.isBehind).toBe(false);
    expect(await read([key('k1')], { revision: 5 })).toEqual({ k1: 'compromised', k2: 'active' });
    expect([keyCache.isBehind, keyCache.revision]).toEqual([true, 7]);
  });

  test('is detected by a key that is no longer compromised, even with a higher revision', async () => {
    await read([key('k1', { state: 'compromised' })], { revision: 7 });
    expect(await read([key('k1')], { revision: 8 })).toMatchObject({ k1: 'compromised' });
    expect(keyCache.isBehind).toBe(true);
  });

  test('is no longer behind once it has every key as before (a lagging replica)', async () => {
    await read([key('k1', { state: 'compromised' }), key('k2')], { revision: 7 });
    await read([key('k1'), key('k2', { state: 'pending' })], { revision: 6 });
    expect(keyCache.isBehind).toBe(true);
    await read([key('k1', { state: 'compromised' }), key('k2')], { revision: 7 });
    expect(keyCache.isBehind).toBe(false);
  });

  test('stays behind if it catches up but lacks a key', async () => {
    await read([key('k1'), key('k2')], { revision: 7 });
    await read([key('k1')], { revision: 6 });
    expect(await read([key('k1')], { revision: 8 })).toEqual({ k1: 'active', k2: 'active' });
    expect(keyCache.isBehind).toBe(true);
  });

  test('is no longer behind once a verify-only key is pending, which is its later state', async () => {
    const verifyOnly = key('k2', { state: 'retiring', activatedAt: null });
    await read([key('k1', { state: 'compromised' }), verifyOnly], { revision: 7 });
    await read([key('k1'), verifyOnly], { revision: 6 });
    expect(keyCache.isBehind).toBe(true);
    const now = [key('k1', { state: 'compromised' }), key('k2', { state: 'pending', activatedAt: null })];
    expect(await read(now, { revision: 8 })).toEqual({ k1: 'compromised', k2: 'pending' });
    expect(keyCache.isBehind).toBe(false);
  });

  test('stays behind until it is recovered, even with a higher revision', async () => {
    await read([key('k1', { state: 'compromised' })], { revision: 7 });
    await read([key('k1')], { revision: 5 });
    expect(await read([key('k1'), key('k2', { state: 'pending' })], { revision: 9 })).toEqual({
      k1: 'compromised',
      k2: 'pending',
    });
    expect(await read([key('k1')], { revision: 10, recoveredAt: 1 })).toEqual({ k1: 'active' });
    expect(keyCache.isBehind).toBe(false);
  });
});
