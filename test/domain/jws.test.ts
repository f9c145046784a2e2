import fc from 'fast-check';
import { expect, test } from 'vitest';
import { parseCompactJws } from '../../src/domain/jws.js';

const BASE64URL = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';
const HEADER = Buffer.from('{"alg":"RS256"}').toString('base64url');

/** Whether a text is the one way to write some bytes. */
function isCanonical(text: string): boolean {
  return Buffer.from(text, 'base64url').toString('base64url') === text;
}

test('of each sequence of bytes one spelling in base64url is taken, and no other', () => {
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

test('the signing input is what was sent, without the signature', () => {
  const jws = parseCompactJws(`${HEADER}.e30.AAAA`);
  expect(jws).toMatchObject({ header: { alg: 'RS256' }, signingInput: `${HEADER}.e30` });
});
