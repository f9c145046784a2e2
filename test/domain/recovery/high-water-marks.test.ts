import { describe, expect, test } from 'vitest';
import type { MacKey } from '../../../src/domain/ports/index.js';
import {
  authenticated,
  eventText,
  type HighWaterMark,
  higherMark,
  markText,
  parseEvent,
  parseKeyStates,
  parseMark,
  type RecordedEvent,
  readAuthenticated,
} from '../../../src/domain/recovery/high-water-marks.js';

const KEY: MacKey = { id: 'mk-1', secret: new Uint8Array(32).fill(7) };
const ORIGIN = { prefix: 'jwt', kind: 'mark' } as const;
const MARK: HighWaterMark = {
  recoveredAt: 0,
  revision: 3,
  audit: { seq: 9, hash: 'ab'.repeat(32) },
  lastEvent: { id: 4, expiresAt: 99 },
};

const findKey = async (id: string) => (id === KEY.id ? KEY : null);

async function isAuthentic(stored: string, origin: Parameters<typeof readAuthenticated>[1] = ORIGIN) {
  return (await readAuthenticated(stored, origin, findKey)).isAuthentic;
}

describe('a MAC', () => {
  const stored = authenticated(markText(MARK), ORIGIN, KEY);

  test('verifies for the original text in its place', async () => {
    expect(await readAuthenticated(stored, ORIGIN, findKey)).toEqual({
      text: markText(MARK),
      isAuthentic: true,
    });
  });

  test.each([
    ['another text', stored.replace('[0,3,', '[0,4,')],
    ['another key', stored.replace('mk-1', 'mk-2')],
    ['no MAC', authenticated(markText(MARK), ORIGIN, null)],
    ['an empty MAC', `mk-1 . ${markText(MARK)}`],
    ['half of the MAC', stored.replace(/ (\S{11})\S+ /, ' $1 ')],
    ['nothing', ''],
    ['a word', 'mk-1'],
  ])('does not verify for %s', async (_, other) => {
    expect(await isAuthentic(other)).toBe(false);
  });

  test('does not verify under another prefix or for another kind', async () => {
    expect(await isAuthentic(stored, { ...ORIGIN, prefix: 'other' })).toBe(false);
    expect(await isAuthentic(stored, { ...ORIGIN, kind: 'event' })).toBe(false);
  });
});

test('a mark and an event survive writing and parsing', () => {
  expect(parseMark(markText(MARK))).toEqual(MARK);
  expect(parseMark(markText({ ...MARK, lastEvent: null }))).toEqual({ ...MARK, lastEvent: null });
  const event = {
    ...{ id: 4, type: 'user_disabled' as const, sub: 'alice', userVersion: 2 },
    ...{ reason: null, at: 5, expiresAt: 99, recoveredAt: 7 },
  } satisfies RecordedEvent;
  const others = { ...event, type: 'subject_revoked' as const, issuedBefore: 5, except: 'j' };
  const ban = { ...event, disabledUntil: 65 };
  for (const one of [event, others, ban]) expect(parseEvent(eventText(one))).toEqual(one);
});

test.each([
  '',
  'x',
  '{}',
  '[]',
  '[1]',
  '[0,3,9,"ab"]',
  `[0,-1,9,"${'ab'.repeat(32)}"]`,
  `[0,3,9,"${'ab'.repeat(32)}",1]`,
])('rejects text that is not a mark: %s', (text) => {
  expect(parseMark(text)).toBeNull();
});

test.each([
  '[]',
  '[1,"token_issued","a","j",null,null,null,null,1,2,0,null]',
  '[1,"token_revoked","a","j",null,null,null,null,1,2,0]',
  '[1,"token_revoked",5,"j",null,null,null,null,1,2,0,null]',
  '[1,"token_revoked","a","j",null,null,1.5,null,1,2,0,null]',
  '["1","token_revoked","a","j",null,null,null,null,1,2,0,null]',
  '[1,"token_revoked","a","j",null,null,null,null,1,2,0,3]',
  '[1,"user_disabled","a",null,null,null,2,null,1,2,0,null,"65"]',
  '[1,"user_disabled","a",null,null,null,2,null,1,2,0,null,65,66]',
])('rejects text that is not an event: %s', (text) => {
  expect(parseEvent(text)).toBeNull();
});

test('ignores unknown key states', () => {
  expect(parseKeyStates('[["k1","active"],["k2","usable"],[3,"active"],"x"]')).toEqual([
    { kid: 'k1', state: 'active' },
  ]);
  expect(parseKeyStates('no list')).toEqual([]);
});

test('the higher of two marks has the higher value of each field, unless one was recovered later', () => {
  const other = { ...MARK, revision: 5, audit: { seq: 8, hash: 'cd'.repeat(32) }, lastEvent: null };
  expect(higherMark(MARK, other)).toEqual({ ...MARK, revision: 5 });
  expect(higherMark(MARK, null)).toEqual(MARK);
  const recovered = { ...other, recoveredAt: 1 };
  expect(higherMark(MARK, recovered)).toEqual(recovered);
  expect(higherMark(recovered, MARK)).toEqual(recovered);
});
