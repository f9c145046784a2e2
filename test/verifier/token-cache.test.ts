import { expect, test } from 'vitest';
import { type KnownToken, TokenCache } from '../../src/verifier/token-cache.js';

function known(token: string): KnownToken {
  return { token } as KnownToken;
}

const tokens = Array.from(
  { length: 100 },
  (_, index) => `header.payload-${index}.${`${index}`.padStart(40, 's')}`,
);

test('finds a token by all of its characters', () => {
  const memory = new TokenCache(10);
  const one = known(tokens[0] as string);
  memory.set(one);
  expect(memory.get(one.token)).toBe(one);
  expect(memory.get(`${one.token} `.trim())).toBe(one);
  // The same end, and another beginning: what a forger would send.
  expect(memory.get(one.token.replace('payload-0', 'payload-1'))).toBeUndefined();
  expect(memory.get(`x${one.token}`)).toBeUndefined();
  expect(memory.get(one.token.slice(1))).toBeUndefined();
  expect(memory.get('')).toBeUndefined();
});

test('never holds more than it may, and keeps what is asked for', () => {
  const memory = new TokenCache(10);
  const often = known(tokens[0] as string);
  memory.set(often);
  for (const token of tokens.slice(1)) {
    memory.set(known(token));
    expect(memory.size).toBeLessThanOrEqual(10);
    expect(memory.get(often.token)).toBe(often);
  }
  expect(memory.get(tokens[1] as string)).toBeUndefined();
  expect(memory.get(tokens[99] as string)?.token).toBe(tokens[99]);
});

test('holds a token once, the later one', () => {
  const memory = new TokenCache(4);
  const [one, other] = [known(tokens[0] as string), known(tokens[0] as string)];
  memory.set(one);
  memory.set(other);
  expect(memory.size).toBe(1);
  expect(memory.get(one.token)).toBe(other);
});
