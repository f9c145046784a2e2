import { expect, test } from 'vitest';
import { signingSchedule } from '../../../src/domain/keys/signing-schedule.js';
import { signingKey } from '../../support/signing-keys.js';

const POLICY = { rotateAfterSeconds: 1_000, publishLeadSeconds: 100 };
const ACTIVE = signingKey({ kid: 'active', state: 'active', activatedAt: 500 });
const pending = (kid: string, createdAt: number) => signingKey({ kid, state: 'pending', createdAt });

test('pending keys sign one rotation after another, oldest first', () => {
  const keys = [pending('third', 700), ACTIVE, pending('second', 600), pending('first', 550)];
  expect([...signingSchedule(keys, POLICY, 800)]).toEqual([
    ['first', { place: 1, signsFrom: 1_500 }],
    ['second', { place: 2, signsFrom: 2_500 }],
    ['third', { place: 3, signsFrom: 3_500 }],
  ]);
});

test('the next key waits for its publish lead, and the one after it counts from there', () => {
  const keys = [ACTIVE, pending('first', 1_450), pending('second', 1_460)];
  expect([...signingSchedule(keys, POLICY, 1_480).values()].map(({ signsFrom }) => signsFrom)).toEqual([
    1_550, 2_550,
  ]);
});

test('an overdue key signs at the next run, and later keys count from now', () => {
  const keys = [ACTIVE, pending('first', 550), pending('second', 560)];
  expect([...signingSchedule(keys, POLICY, 9_000).values()].map(({ signsFrom }) => signsFrom)).toEqual([
    9_000, 10_000,
  ]);
});

test('without an active key, the oldest pending key signs at the next run, even before its publish lead', () => {
  expect(signingSchedule([pending('first', 800)], POLICY, 810).get('first')).toEqual({
    place: 1,
    signsFrom: 810,
  });
});
