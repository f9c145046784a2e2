import { expect, test } from 'vitest';
import { refusedBetween } from '../../../src/domain/fleet/refusals.js';
import { heartbeatOf } from '../../support/heartbeats.js';

const verifier = (id: string, refused: number, startedAt = 0) =>
  heartbeatOf(id, 2_000, { refused, startedAt });
const between = (
  earlier: Array<ReturnType<typeof verifier>>,
  ...later: Array<ReturnType<typeof verifier>>
): number | null => refusedBetween({ at: 1_000, verifiers: earlier }, later);

test('sums what each running verifier has refused since', () => {
  expect(between([verifier('a', 5), verifier('b', 7)], verifier('a', 6), verifier('b', 12))).toBe(6);
});

test('counts all refusals of a verifier that has started since, and none of one that was only not seen before', () => {
  expect(between([verifier('a', 5)], verifier('a', 5), verifier('new', 3, 1_500))).toBe(3);
  expect(between([verifier('a', 5)], verifier('a', 5), verifier('unseen', 900, 500))).toBe(0);
});

test('does not subtract what a verifier took with it, or what another client forged', () => {
  expect(between([verifier('a', 5), verifier('gone', 900)], verifier('a', 7))).toBe(2);
  expect(between([verifier('a', 5)], verifier('a', 0))).toBe(0);
});

test('is unknown without running verifiers', () => {
  expect(between([verifier('a', 5)])).toBeNull();
});
