import { randomBytes } from 'node:crypto';
import { expect, test } from 'vitest';
import { MasterKeys } from '../../../src/adapters/sealing/master-keys.js';
import { AesRefreshTokenSealer } from '../../../src/adapters/sealing/refresh-token-sealer.js';
import { ManualClock } from '../../support/clock.js';

const ONE = newMasterKey();
const TWO = newMasterKey();
const CONTENTS = '{"sub":"老 alice"}';

function newMasterKey(): string {
  return randomBytes(32).toString('base64');
}

function withKeyring(...lines: string[]): AesRefreshTokenSealer {
  return new AesRefreshTokenSealer(
    new MasterKeys({ kind: 'value', text: lines.join('\n') }, new ManualClock()),
  );
}

test('opens what it sealed', async () => {
  const sealer = withKeyring(ONE);
  for (const contents of ['', CONTENTS, 'x'.repeat(9_000)])
    expect(await sealer.open(await sealer.seal(contents))).toBe(contents);
});

test('makes the same token of the same contents on every host, and different ones otherwise', async () => {
  const token = await withKeyring(ONE).seal(CONTENTS);
  expect(await withKeyring(ONE, TWO).seal(CONTENTS)).toBe(token);
  const others = [await withKeyring(ONE).seal(`${CONTENTS} `), await withKeyring(TWO).seal(CONTENTS)];
  expect(new Set([token, ...others]).size).toBe(3);
});

test('reveals neither the contents nor their first bytes', async () => {
  const [one, two] = [await withKeyring(ONE).seal('alice 1'), await withKeyring(ONE).seal('alice 2')];
  expect(Buffer.from(one, 'base64url').includes('alice')).toBe(false);
  // The same version and key, but no other common bytes.
  expect(one.slice(0, 9)).toBe(two.slice(0, 9));
  expect(one.slice(10, 40)).not.toBe(two.slice(10, 40));
});

test('opens tokens of an older line of the keyring, and none of a missing line', async () => {
  const old = await withKeyring(ONE).seal(CONTENTS);
  expect(await withKeyring(TWO, ONE).open(old)).toBe(CONTENTS);
  expect(await withKeyring(TWO).open(old)).toBeNull();
});

test('opens no token of a line that was removed from the keyring a minute ago', async () => {
  const clock = new ManualClock();
  let text = `${ONE}\n${TWO}`;
  const sealer = new AesRefreshTokenSealer(new MasterKeys({ kind: 'command', run: async () => text }, clock));
  const token = await sealer.seal(CONTENTS);
  text = TWO;
  expect(await sealer.open(token)).toBe(CONTENTS);
  clock.advance(60);
  expect(await sealer.open(token)).toBeNull();
  expect(await sealer.seal(CONTENTS)).not.toBe(token);
});

test('invented keys run masterKey.command hardly more often than once a minute, and a new key is found', async () => {
  const clock = new ManualClock();
  let text = ONE;
  let runs = 0;
  const run = async () => {
    runs += 1;
    return text;
  };
  const sealer = new AesRefreshTokenSealer(new MasterKeys({ kind: 'command', run }, clock));
  await sealer.seal(CONTENTS);
  for (let second = 0; second < 600; second++) {
    expect(await sealer.open(await withKeyring(newMasterKey()).seal(CONTENTS))).toBeNull();
    clock.advance(1);
  }
  expect(runs).toBeLessThan(20);
  text = `${TWO}\n${ONE}`;
  clock.advance(60);
  expect(await sealer.open(await withKeyring(TWO).seal(CONTENTS))).toBe(CONTENTS);
});

test('an unknown key is looked up at once', async () => {
  const clock = new ManualClock();
  let text = ONE;
  const sealer = new AesRefreshTokenSealer(new MasterKeys({ kind: 'command', run: async () => text }, clock));
  await sealer.seal(CONTENTS);
  text = `${TWO}\n${ONE}`;
  clock.advance(1);
  expect(await sealer.open(await withKeyring(TWO).seal(CONTENTS))).toBe(CONTENTS);
});

test.each([1, 60])(
  '64 tokens under a key that was added %i s ago share one fetch, and all open',
  async (age) => {
    const clock = new ManualClock();
    let text = ONE;
    let runs = 0;
    const run = async () => {
      runs += 1;
      const fetched = text;
      await new Promise((resolve) => setImmediate(resolve));
      return fetched;
    };
    const sealer = new AesRefreshTokenSealer(new MasterKeys({ kind: 'command', run }, clock));
    await sealer.seal(CONTENTS);
    text = `${TWO}\n${ONE}`;
    clock.advance(age);
    const token = await withKeyring(TWO).seal(CONTENTS);
    const opened = await Promise.all(Array.from({ length: 64 }, () => sealer.open(token)));
    expect([new Set(opened), runs]).toEqual([new Set([CONTENTS]), 2]);
  },
);

test('a minute after the last invented key, a new key is looked up at once again', async () => {
  const clock = new ManualClock();
  let text = ONE;
  const sealer = new AesRefreshTokenSealer(new MasterKeys({ kind: 'command', run: async () => text }, clock));
  for (let second = 0; second < 200; second++) {
    await sealer.open(await withKeyring(newMasterKey()).seal(CONTENTS));
    clock.advance(1);
  }
  clock.advance(60);
  await sealer.seal(CONTENTS);
  text = `${TWO}\n${ONE}`;
  clock.advance(1);
  expect(await sealer.open(await withKeyring(TWO).seal(CONTENTS))).toBe(CONTENTS);
});

test('refuses a token in which any one bit was changed', async () => {
  const sealer = withKeyring(ONE);
  const bytes = Buffer.from(await sealer.seal(CONTENTS), 'base64url');
  for (let bit = 0; bit < 8 * bytes.length; bit++) {
    const changed = Buffer.from(bytes);
    changed.writeUInt8(bytes.readUInt8(bit >> 3) ^ (1 << (bit & 7)), bit >> 3);
    expect(await sealer.open(changed.toString('base64url')), `bit ${bit}`).toBeNull();
  }
});

test.each(['', 'x', 'e30.e30.e30', '=', 'A'.repeat(60), ' '.repeat(60), '\u{1F600}'.repeat(40)])(
  'refuses %j',
  async (text) => {
    expect(await withKeyring(ONE).open(text)).toBeNull();
  },
);

test('refuses a token that was cut off, extended, or encoded in another way', async () => {
  const sealer = withKeyring(ONE);
  const token = await sealer.seal(`${CONTENTS}..`);
  const others = [token.slice(0, -1), token.slice(1), `${token}A`, `${token}=`, ` ${token}`, `${token}\n`];
  for (const other of [...others, Buffer.from(token, 'base64url').toString('base64')])
    expect(await sealer.open(other), other).toBeNull();
});
