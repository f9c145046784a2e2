import fc from 'fast-check';
import { expect, test } from 'vitest';
import { decodeToken, parseCompactJws } from '../../../src/domain/jose/jws.js';
import { freeze } from '../../../src/domain/shared/deep-freeze.js';

const BASE64URL = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';
const HEADER = Buffer.from('{"alg":"RS256"}').toString('base64url');

/** Returns whether the text is canonical base64url. */
function isCanonical(text: string): boolean {
  return Buffer.from(text, 'base64url').toString('base64url') === text;
}

test('accepts exactly one base64url spelling of each byte sequence', () => {
  const characters = fc.constantFrom(...`${BASE64URL}+/= \n`);
  const nearly = fc.string({ unit: characters, maxLength: 9 });
  const right = fc.uint8Array({ maxLength: 9 }).map((bytes) => Buffer.from(bytes).toString('base64url'));
  fc.assert(
    fc.property(fc.oneof(nearly, right), (text) => {
      const jws = parseCompactJws(`${HEADER}.${HEADER}.${text}`);
      if (typeof jws === 'string') expect(isCanonical(text)).toBe(false);
      else {
        expect(isCanonical(text)).toBe(true);
        expect(Buffer.from(jws.signature).toString('base64url')).toBe(text);
      }
    }),
    { numRuns: 5000 },
  );
  for (const one of BASE64URL) {
    for (const two of BASE64URL) {
      const isTaken = typeof parseCompactJws(`${HEADER}.${HEADER}.${one}${two}`) !== 'string';
      expect(isTaken, one + two).toBe(isCanonical(one + two));
    }
  }
});

test('the signing input is the token without its signature', () => {
  const jws = parseCompactJws(`${HEADER}.e30.AAAA`);
  expect(jws).toMatchObject({ header: { alg: 'RS256' }, signingInput: `${HEADER}.e30` });
});

test('verifies deep nesting, but refuses to decode it for display', () => {
  for (const [open, inner, close] of [
    ['[', '', ']'],
    ['{"a":', '1', '}'],
  ] as const) {
    const nested = (levels: number) =>
      Buffer.from(`{"a":${open.repeat(levels)}${inner}${close.repeat(levels)}}`).toString('base64url');
    const deep = nested(open === '[' ? 5_900 : 1_900);
    expect(typeof parseCompactJws(`${deep}.e30.AAAA`)).toBe('object');
    expect(decodeToken(`${deep}.e30.AAAA`)).toContain('JOSE Header is nested');
    expect(decodeToken(`e30.${deep}.AAAA`)).toContain('payload is nested');
    expect(decodeToken(`${nested(100)}.e30.AAAA`)).toContain('JOSE Header is nested');
    expect(typeof decodeToken(`${nested(99)}.${nested(99)}.AAAA`)).toBe('object');
  }
});

test('freezes a value at every depth', () => {
  const deep: unknown = JSON.parse(`${'['.repeat(100_000)}${']'.repeat(100_000)}`);
  let at = freeze(deep) as unknown[];
  expect(Object.isFrozen(at)).toBe(true);
  while (at[0] !== undefined) at = at[0] as unknown[];
  expect(Object.isFrozen(at)).toBe(true);
});
