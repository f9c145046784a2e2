import { expect, test } from 'vitest';
import { type KnownToken, TokenCache } from '../../src/verifier/token-cache.js';

function known(token: string): KnownToken {
  return { token } as KnownToken;
}

const tokens = Array.from(
  { length: 100 },
  (_, index) => `header.payload-${index}.${`${index}`.padStart(40, 's')}`,
);

test('compares all characters of a token', () => {
  const cache = new TokenCache(10);
  const one = known(tokens[0] as string);
  cache.set(one);
  expect(cache.get(one.token)).toBe(one);
  expect(cache.get(`${one.token} `.trim())).toBe(one);
  // A forged token may have the same end.
  expect(cache.get(one.token.replace('payload-0', 'payload-1'))).toBeUndefined();
  expect(cache.get(`x${one.token}`)).toBeUndefined();
  expect(cache.get(one.token.slice(1))).toBeUndefined();
  expect(cache.get('')).toBeUndefined();
});

test('never exceeds its size, and keeps tokens that are used', () => {
  const cache = new TokenCache(10);
  const often = known(tokens[0] as string);
  cache.set(often);
  for (const token of tokens.slice(1)) {
    cache.set(known(token));
    expect(cache.size).toBeLessThanOrEqual(10);
    expect(cache.get(often.token)).toBe(often);
  }
  expect(cache.get(tokens[1] as string)).toBeUndefined();
  expect(cache.get(tokens[99] as string)?.token).toBe(tokens[99]);
});

test('replaces an equal token', () => {
  const cache = new TokenCache(4);
  const [one, other] = [known(tokens[0] as string), known(tokens[0] as string)];
  cache.set(one);
  cache.set(other);
  expect(cache.size).toBe(1);
  expect(cache.get(one.token)).toBe(other);
});
