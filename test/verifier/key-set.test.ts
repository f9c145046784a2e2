import { beforeEach, describe, expect, test } from 'vitest';
import type { SigningKey } from '../../src/domain/model/signing-key.js';
import type { KeySnapshot } from '../../src/domain/ports/index.js';
import { JwtctlError } from '../../src/domain/shared/errors.js';
import { KeySet } from '../../src/verifier/key-set.js';
import { ManualClock } from '../support/clock.js';
import { rsaPair } from '../support/signing.js';
import { signingKey } from '../support/signing-keys.js';

const { publicKey: publicHalf } = rsaPair();
const PEM = publicHalf.export({ type: 'spki', format: 'pem' }).toString();

let clock: ManualClock;
let stored: SigningKey[];
let reads: number;
let answer: () => Promise<void>;
let keySet: KeySet;
/** The revision of the key store; null to raise it with each read. */
let revision: number | null;
let recoveredAt: number;

beforeEach(() => {
  clock = new ManualClock();
  stored = [key('k1')];
  reads = 0;
  revision = null;
  recoveredAt = 0;
  answer = async () => {};
  keySet = new KeySet({ snapshot: keySnapshot }, clock);
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

/** The next read does not end before `release` is called. */
function holdReads(): { release: () => void } {
  let release = () => {};
  const released = new Promise<void>((resolve) => {
    release = resolve;
  });
  answer = () => released;
  return { release };
}

test('nothing is read before a key is looked for', () => {
  expect(reads).toBe(0);
});

test('a key comes with what a verification needs of it, and no more', async () => {
  const { n, e } = publicHalf.export({ format: 'jwk' });
  expect(await keySet.find('k1')).toEqual({
    id: stored[0]?.id,
    kid: 'k1',
    alg: 'RS256',
    state: 'active',
    publicKey: PEM,
    jwk: { kty: 'RSA', kid: 'k1', use: 'sig', alg: 'RS256', n, e },
  });
});

test('a key in whatever state is there', async () => {
  stored = [key('r', { state: 'retired' }), key('c', { state: 'compromised' })];
  expect(await keySet.find('r')).toMatchObject({ state: 'retired' });
  expect(await keySet.find('c')).toMatchObject({ state: 'compromised' });
});

test('kids are compared byte for byte', async () => {
  await keySet.find('k1');
  clock.advance(1);
  expect(await keySet.find('K1')).toBeNull();
});

describe('keys that are known', () => {
  test('are not read again within 30 s', async () => {
    await keySet.find('k1');
    clock.advance(29);
    await keySet.find('k1');
    expect(reads).toBe(1);
  });

  test('are read again after 30 s, so that a state takes effect without a restart', async () => {
    await keySet.find('k1');
    stored = [{ ...(stored[0] as SigningKey), state: 'compromised' }];
    clock.advance(29);
    expect(await keySet.find('k1')).toMatchObject({ state: 'active' });
    clock.advance(1);
    expect(await keySet.find('k1')).toMatchObject({ state: 'compromised' });
    expect(reads).toBe(2);
  });

  test('that are gone from the store are unknown from then on', async () => {
    await keySet.find('k1');
    stored = [];
    clock.advance(30);
    expect(await keySet.find('k1')).toBeNull();
  });

  test('are read again after the clock was set back', async () => {
    clock.advance(3600);
    await keySet.find('k1');
    stored = [{ ...(stored[0] as SigningKey), state: 'compromised' }];
    clock.advance(-3600);
    expect(await keySet.find('k1')).toMatchObject({ state: 'compromised' });
    clock.advance(30);
    await keySet.find('k1');
    expect(reads).toBe(3);
  });

  test('are read once however many look for them at the same time', async () => {
    const { release } = holdReads();
    const finding = Promise.all(Array.from({ length: 50 }, () => keySet.find('k1')));
    release();
    expect((await finding).every((found) => found?.kid === 'k1')).toBe(true);
    expect(reads).toBe(1);
  });
});

describe('the object of a key', () => {
  test('is the same one while nothing changes, so that what was derived from it stays', async () => {
    const before = await keySet.find('k1');
    for (let round = 0; round < 3; round++) {
      clock.advance(30);
      stored = stored.map((one) => ({ ...one }));
      expect(await keySet.find('k1')).toBe(before);
    }
    expect(reads).toBe(4);
  });

  test('is a new one once the state changes', async () => {
    const before = await keySet.find('k1');
    stored = [{ ...(stored[0] as SigningKey), state: 'retiring' }];
    clock.advance(30);
    const after = await keySet.find('k1');
    expect(after).not.toBe(before);
    expect(before).toMatchObject({ state: 'active' });
    expect(after).toMatchObject({ state: 'retiring' });
  });

  test('is a new one for another key under the same kid', async () => {
    const before = await keySet.find('k1');
    const other = rsaPair().publicKey.export({ type: 'spki', format: 'pem' }).toString();
    stored = [key('k1', { publicKey: other })];
    clock.advance(30);
    const after = await keySet.find('k1');
    expect(after?.id).toBe(stored[0]?.id);
    expect(after?.jwk.n).not.toBe(before?.jwk.n);
  });
});

test('a new key under the same id and kid is a different key', async () => {
  const before = await keySet.find('k1');
  const { publicKey } = rsaPair();
  const other = publicKey.export({ type: 'spki', format: 'pem' }).toString();
  stored = [{ ...(stored[0] as SigningKey), publicKey: other }];
  clock.advance(30);
  const after = await keySet.find('k1');
  expect(after).not.toBe(before);
  expect(after?.jwk.n).toBe(publicKey.export({ format: 'jwk' }).n);
});

describe('a kid that is not known', () => {
  test('is read for, so that a key that was made since is found without a restart', async () => {
    await keySet.find('k1');
    stored = [...stored, key('k2', { state: 'pending' })];
    clock.advance(1);
    expect(await keySet.find('k2')).toMatchObject({ kid: 'k2', state: 'pending' });
    expect(reads).toBe(2);
  });

  test('waits for a second to pass since the last read, and is then found', async () => {
    await keySet.find('k1');
    stored = [...stored, key('k2')];
    const finding = keySet.find('k2');
    expect(await clock.awaited()).toEqual([clock.now() + 1]);
    expect(reads).toBe(1);
    clock.advance(1);
    expect(await finding).toMatchObject({ kid: 'k2' });
    expect(reads).toBe(2);
  });

  test('costs one read a second, however many are invented', async () => {
    await keySet.find('k1');
    const finding = Promise.all(Array.from({ length: 16 }, (_, index) => keySet.find(`invented-${index}`)));
    await clock.awaited();
    clock.advance(1);
    expect((await finding).every((found) => found === null)).toBe(true);
    expect(reads).toBe(2);
  });

  test('keeps nobody waiting whose key is known', async () => {
    await keySet.find('k1');
    const finding = keySet.find('invented');
    await clock.awaited();
    expect(await keySet.find('k1')).toMatchObject({ kid: 'k1' });
    clock.advance(1);
    expect(await finding).toBeNull();
  });

  test('with the very first look is not read for twice', async () => {
    expect(await keySet.find('k9')).toBeNull();
    expect(reads).toBe(1);
  });
});

describe('a store that cannot answer', () => {
  const failure = new Error('the store is away');

  test('is told to everyone who waits, and is asked again', async () => {
    answer = () => Promise.reject(failure);
    const outcomes = await Promise.allSettled([keySet.find('k1'), keySet.find('k1')]);
    expect(outcomes).toEqual([
      { status: 'rejected', reason: failure },
      { status: 'rejected', reason: failure },
    ]);
    expect(reads).toBe(1);
    answer = async () => {};
    clock.advance(1);
    expect(await keySet.find('k1')).toMatchObject({ kid: 'k1' });
  });

  test('is not asked again within a second, however many kids are invented', async () => {
    await keySet.find('k1');
    answer = () => Promise.reject(failure);
    clock.advance(1);
    for (let index = 0; index < 100; index++) {
      await expect(keySet.find(`invented-${index}`)).rejects.toBe(failure);
    }
    expect(reads).toBe(2);
    clock.advance(1);
    await expect(keySet.find('invented')).rejects.toBe(failure);
    expect(reads).toBe(3);
  });

  test('is never answered for with keys that are too old', async () => {
    await keySet.find('k1');
    answer = () => Promise.reject(failure);
    clock.advance(29);
    expect(await keySet.find('k1')).toMatchObject({ kid: 'k1' });
    clock.advance(1);
    await expect(keySet.find('k1')).rejects.toBe(failure);
  });
});

describe('that somebody else keeps up to date', () => {
  const failure = new JwtctlError('ERR_MYSQL_UNREACHABLE', 'The store is away.');

  beforeEach(async () => {
    keySet = new KeySet({ snapshot: keySnapshot }, clock, { maxAgeSeconds: 300 });
    await keySet.find('k1');
    answer = () => Promise.reject(failure);
  });

  test('serve without a look at the store until they are that old', async () => {
    clock.advance(299);
    expect(await keySet.find('k1')).toMatchObject({ kid: 'k1' });
    clock.advance(1);
    await expect(keySet.find('k1')).rejects.toBe(failure);
    answer = async () => {};
    clock.advance(1);
    expect(await keySet.find('k1')).toMatchObject({ kid: 'k1' });
  });

  test('a kid that is not known is not refused: nobody can say that there is no such key', async () => {
    clock.advance(1);
    await expect(keySet.find('k2')).rejects.toBe(failure);
  });
});

test('16 tokens wait for an unknown kid, and the others are refused at once', async () => {
  await keySet.find('k1');
  const finding = Array.from({ length: 1_000 }, (_, index) => keySet.find(`invented-${index}`));
  for (const refused of finding.slice(16))
    await expect(refused).rejects.toMatchObject({ kind: 'unavailable', code: 'ERR_VERIFIER_OVERLOADED' });
  // Known keys are found at any time, and the next unknown kid waits after the read.
  expect(await keySet.find('k1')).toMatchObject({ kid: 'k1' });
  stored = [...stored, key('k2')];
  await clock.awaited();
  clock.advance(1);
  expect(await Promise.all(finding.slice(0, 16))).toEqual(Array(16).fill(null));
  expect(await keySet.find('k2')).toMatchObject({ kid: 'k2' });
  expect(reads).toBe(2);
});

test('16 tokens wait for a hung key store, and the others are refused at once', async () => {
  await keySet.find('k1');
  clock.advance(1);
  const { release } = holdReads();
  const finding = Array.from({ length: 1_000 }, (_, index) => keySet.find(`invented-${index}`));
  await expect(finding.at(-1)).rejects.toMatchObject({ code: 'ERR_VERIFIER_OVERLOADED' });
  await expect(finding[16]).rejects.toMatchObject({ code: 'ERR_VERIFIER_OVERLOADED' });
  release();
  await Promise.allSettled(finding);
});

test('at most 10,000 tokens wait while the keys are outdated', async () => {
  const { release } = holdReads();
  const finding = Array.from({ length: 10_001 }, () => keySet.find('k1'));
  await expect(finding.at(-1)).rejects.toMatchObject({
    kind: 'unavailable',
    code: 'ERR_VERIFIER_OVERLOADED',
  });
  release();
  expect((await Promise.all(finding.slice(0, -1))).every((found) => found?.kid === 'k1')).toBe(true);
});

test('a kid that no key here can have is unknown without a read', async () => {
  for (const kid of ['', '-k1', 'a b', 'k'.repeat(129)]) expect(await keySet.find(kid)).toBeNull();
  expect(reads).toBe(0);
});

test('a kid is never called unknown for a read that began before its key was made', async () => {
  await keySet.find('k1');
  clock.advance(1);
  const { release } = holdReads();
  const before = keySet.refresh();
  // The read has its answer, which is on its way; the key comes after that.
  await Promise.resolve();
  stored = [...stored, key('k2')];
  const finding = keySet.find('k2');
  const refreshed = keySet.refresh();
  release();
  await before;
  await refreshed;
  expect(keySet.peek('k2')).toMatchObject({ kid: 'k2' });
  clock.advance(1);
  expect(await finding).toMatchObject({ kid: 'k2' });
});

test('peek asks nobody, and refresh reads at once', async () => {
  expect(keySet.peek('k1')).toBeUndefined();
  await keySet.refresh();
  expect(keySet.peek('k1')).toBe(await keySet.find('k1'));
  stored = [...stored, key('k2', { state: 'pending' }), key('k3', { state: 'retired' })];
  await keySet.refresh();
  expect(keySet.trusted.map(({ kid }) => kid)).toEqual(['k1', 'k2']);
  expect(keySet.active).toEqual({ kid: 'k1', activatedAt: 0 });
  expect(reads).toBe(2);
});

describe('a key store restored from a backup', () => {
  async function read(keys: SigningKey[], at: { revision: number; recoveredAt?: number }) {
    stored = keys;
    revision = at.revision;
    recoveredAt = at.recoveredAt ?? 0;
    await keySet.refresh();
    return Object.fromEntries(['k1', 'k2'].map((kid) => [kid, keySet.peek(kid)?.state]));
  }

  test('does not restore a compromised key, and drops none', async () => {
    await read([key('k1', { state: 'compromised' }), key('k2')], { revision: 7 });
    expect(keySet.isBehind).toBe(false);
    expect(await read([key('k1')], { revision: 5 })).toEqual({ k1: 'compromised', k2: 'active' });
    expect([keySet.isBehind, keySet.revision]).toEqual([true, 7]);
  });

  test('is noticed by a key that is no longer compromised, whatever the revision', async () => {
    await read([key('k1', { state: 'compromised' })], { revision: 7 });
    expect(await read([key('k1')], { revision: 8 })).toMatchObject({ k1: 'compromised' });
    expect(keySet.isBehind).toBe(true);
  });

  test('is no longer behind once it has every key as before (a lagging replica)', async () => {
    await read([key('k1', { state: 'compromised' }), key('k2')], { revision: 7 });
    await read([key('k1'), key('k2', { state: 'pending' })], { revision: 6 });
    expect(keySet.isBehind).toBe(true);
    await read([key('k1', { state: 'compromised' }), key('k2')], { revision: 7 });
    expect(keySet.isBehind).toBe(false);
  });

  test('stays behind if it catches up without a key', async () => {
    await read([key('k1'), key('k2')], { revision: 7 });
    await read([key('k1')], { revision: 6 });
    expect(await read([key('k1')], { revision: 8 })).toEqual({ k1: 'active', k2: 'active' });
    expect(keySet.isBehind).toBe(true);
  });

  test('stays behind until it is recovered, however far it gets', async () => {
    await read([key('k1', { state: 'compromised' })], { revision: 7 });
    await read([key('k1')], { revision: 5 });
    expect(await read([key('k1'), key('k2', { state: 'pending' })], { revision: 9 })).toEqual({
      k1: 'compromised',
      k2: 'pending',
    });
    expect(await read([key('k1')], { revision: 10, recoveredAt: 1 })).toEqual({ k1: 'active' });
    expect(keySet.isBehind).toBe(false);
  });
});
