import { expect, test } from 'vitest';
import { OldestEntries } from '../../../src/domain/registry/oldest-entries.js';

const entry = (iat: number, jti = `t${iat}`) => ({ jti, keyId: 1, iat, exp: iat + 60 });

test('keeps the oldest entries, in whatever order they come', () => {
  const oldest = new OldestEntries('alice', { limit: 3 });
  const all = Array.from({ length: 50 }, (_, index) => entry((index * 37) % 50));
  for (let from = 0; from < all.length; from += 5) oldest.add(all.slice(from, from + 5));
  expect(oldest.list().map(({ iat }) => iat)).toEqual([0, 1, 2]);
});

test('compares IDs of the same time by their bytes', () => {
  const oldest = new OldestEntries('alice', { limit: 2 });
  oldest.add(['b', '😀', '\u{ffff}', 'a'].map((jti) => entry(1, jti)));
  expect(oldest.list().map(({ jti }) => jti)).toEqual(['a', 'b']);
});

test('keeps only entries with the given IDs', () => {
  const oldest = new OldestEntries('alice', { jtis: ['t2', 't4'] });
  oldest.add([1, 2, 3, 4].map((iat) => entry(iat)));
  expect(oldest.list().map(({ iat }) => iat)).toEqual([2, 4]);
});
