import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  cachedStatus,
  entryMember,
  familyRecord,
  keyspace,
  parseFamily,
  parseEntry as parseWithin,
  STATUS_MEMBER,
  statusScore,
  VERSION_MEMBER,
} from '../../../src/adapters/redis/keyspace.js';
import { subjectFault } from '../../../src/domain/model/subject.js';
import { redisNodes } from '../../support/servers.js';
import { redisCli } from './registry-under-test.js';

const subjects = fc
  .string({ unit: 'binary', minLength: 1, maxLength: 60 })
  .filter((value) => subjectFault(value) === null);

describe('key names', () => {
  const { keysOf, subjectOf } = keyspace('jwt');

  test('are readable for ordinary subjects and escaped for others', () => {
    expect(keysOf('alice@example.com').entries).toBe('jwt:{alice@example.com}');
    expect(keysOf('alice').meta).toBe('jwt:{alice}:meta');
    expect(keysOf('a}b{*?[x]\\:%').entries).toBe('jwt:{a%7Db%7B%2A%3F%5Bx%5D%5C%3A%25}');
    expect(keysOf('é 😀').entries).toBe('jwt:{%C3%A9%20%F0%9F%98%80}');
  });

  test('decode to the subject, whatever it is', () => {
    fc.assert(
      fc.property(subjects, (sub) => {
        const { entries } = keysOf(sub);
        expect(entries).toMatch(/^jwt:\{[A-Za-z0-9._~@%-]+\}$/);
        expect(subjectOf(entries)).toBe(sub);
      }),
    );
  });

  test.each([
    ...[
      'jwt',
      'jwt:',
      'jwt:{}',
      'jwt:{a',
      'jwt:a}',
      'jwt:{a}:meta',
      'jwt:{a}b',
      'jwtx:{a}',
      'xjwt:{a}',
      'JWT:{a}',
    ],
    // Not canonical: letters need no escape, and escapes are complete and in capitals.
    ...['jwt:{%41}', 'jwt:{%2a}', 'jwt:{%2}', 'jwt:{a*}', 'jwt:{a:b}', 'jwt:{é}', 'jwt:{{a}}', 'jwt:{a}}'],
    // Not a subject: a control character, or invalid UTF-8 (stray, overlong, a surrogate).
    ...['jwt:{%00}', 'jwt:{%0A}', 'jwt:{%FF}', 'jwt:{%C0%AF}', 'jwt:{%ED%A0%80}', 'jwt:{%EF%BF%BD}'],
    `jwt:{${'x'.repeat(256)}}`,
  ])('%s is not ours', (key) => {
    expect(subjectOf(key)).toBeNull();
  });

  test('do not match another prefix that begins the same', () => {
    expect(keyspace('jwt').subjectOf(keyspace('jwt2').keysOf('a').entries)).toBeNull();
    expect(keyspace('a').subjectOf(keyspace('a:b').keysOf('a').entries)).toBeNull();
    expect(keyspace('a.*').pattern).toBe('a.\\*:{*');
  });

  test('put a subject and its meta in the slot that Redis computes', async () => {
    const [node = ''] = redisNodes();
    for (const sub of [
      'alice',
      'a}b{c',
      '{a}',
      '123456789',
      '👨‍👩‍👧‍👦',
      'x'.repeat(255),
      'é'.repeat(127),
      '*',
    ]) {
      const { entries, meta, slot } = keysOf(sub);
      expect(await redisCli(node, 'CLUSTER', 'KEYSLOT', entries), sub).toBe(String(slot));
      expect(await redisCli(node, 'CLUSTER', 'KEYSLOT', meta), sub).toBe(String(slot));
    }
  });
});

function parseEntry(member: string, score: string) {
  return parseWithin({ text: member, data: Buffer.from(member) }, 0, member.length, Number(score), null);
}

describe('members', () => {
  test('hold key id, iat, and jti; the score holds the exp', () => {
    const entry = { jti: 'a.b', keyId: 35, iat: 1_763_880_000, exp: 1_763_883_600 };
    expect(entryMember(entry)).toBe('z.t662io.a.b');
    expect(parseEntry('z.t662io.a.b', '1763883600')).toEqual({ ...entry, meta: null });
  });

  test('decode to the entry, whatever the jti is', () => {
    const numbers = fc.integer({ min: 0, max: 2 ** 40 });
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme' }), numbers, numbers, (jti, keyId, iat) => {
        const entry = { jti, keyId, iat, exp: 1_763_883_600, meta: null };
        expect(parseEntry(entryMember(entry), '1763883600')).toEqual(entry);
      }),
    );
  });

  test('stay within 64 bytes for a thousand years with a jti of 22 characters', () => {
    const member = entryMember({ jti: 'x'.repeat(22), keyId: 2 ** 40, iat: 33_000_000_000 });
    expect(member.length).toBeLessThanOrEqual(64);
  });

  test.each([
    ['', '1'],
    ['1.2', '1'],
    ['01.2.a', '1'],
    ['1.02.a', '1'],
    ['A.1.a', '1'],
    ['-1.1.a', '1'],
    ['1.zzzzzzzzzzz.a', '1'],
    ['1.1.a', '-1'],
    ['1.1.a', '0'],
    ['1.1.a', '1.5'],
    ['1.1.a', 'inf'],
    ['1.1.a', '1e+300'],
    [STATUS_MEMBER, '1'],
    [VERSION_MEMBER, '1'],
  ])('%j with score %s is no entry', (member, score) => {
    expect(parseEntry(member, score)).toBeNull();
  });

  test.each([1.5, -1, Number.NaN, 2 ** 53])('refuse iat %s', (iat) => {
    expect(() => entryMember({ jti: 'a', keyId: 1, iat })).toThrow(/registry entry/);
  });

  test('encode a status as the sign of its end', () => {
    for (const status of ['enabled', 'disabled'] as const)
      expect(cachedStatus(statusScore({ status, until: 100 }), -3)).toEqual({
        status,
        until: 100,
        version: 3,
      });
    expect(cachedStatus(null, -3)).toBeNull();
  });
});

test('a session is read only if its name and counter are those of a session', () => {
  const state = { counter: 9_999_999_999, keyId: 1, iat: 2, startedAt: 3, exp: 4 };
  const read = (family: string, counter = state.counter) =>
    parseFamily(family, `${familyRecord({ ...state, counter })}.5`);
  const family = 'f'.repeat(22);
  expect(read(family)).toEqual({ family, ...state, meta: null });
  for (const other of ['', 'f', 'f'.repeat(300), '_'.repeat(22), `${family}\n`])
    expect(read(other)).toBeNull();
  expect(read(family, 10_000_000_000)).toBeNull();
});
