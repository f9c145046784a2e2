import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { parseSubject } from '../../../src/domain/model/subject.js';

describe('a subject', () => {
  test.each([
    ...[
      'a',
      'alice',
      'Alice',
      ' ',
      'alice ',
      ' alice',
      '*',
      '{}',
      'a}b{c',
      '-x',
      '--',
      '@alice',
      '-',
      '%00',
      '..',
    ],
    ...[
      '007',
      '0',
      'null',
      'undefined',
      '__proto__',
      "o'brien",
      '"',
      '\\',
      '$(id)',
      '中',
      'é',
      'e\u0301',
      '👨‍👩‍👧‍👦',
    ],
    ...['\u00a0', '\u200b', '\u202e', '\u2028', 'x'.repeat(255), 'é'.repeat(127), '😀'.repeat(63)],
  ])('may be %j, unchanged', (text) => {
    expect(parseSubject(text)).toBe(text);
  });

  test.each([
    { name: 'empty', texts: [''] },
    { name: 'longer than 255 bytes', texts: ['x'.repeat(256), 'é'.repeat(128), '😀'.repeat(64)] },
    { name: 'ill-formed UTF-16', texts: ['\ud800', 'a\udc00b', '\ud83d'] },
    { name: 'what ill-formed UTF-8 is read as', texts: ['\ufffd', 'caf\ufffd'] },
    { name: 'with a control character', texts: ['a\u0000b', 'a\nb', '\t', '\u001b[31m', '\u007f', '\u0085'] },
  ])('cannot be $name', ({ texts }) => {
    for (const text of texts) {
      expect(() => parseSubject(text), JSON.stringify(text)).toThrow(
        expect.objectContaining({ kind: 'usage', code: 'ERR_SUBJECT_INVALID' }),
      );
    }
  });
});

const anyText = fc.oneof(
  fc.string({ unit: 'grapheme', maxLength: 300 }),
  fc.string({ unit: 'binary', maxLength: 300 }),
);

test('an accepted subject is within the byte limit and survives UTF-8 unchanged', () => {
  fc.assert(
    fc.property(anyText, (text) => {
      if (!isAccepted(text)) return;
      const bytes = Buffer.from(text);
      expect(bytes.length).toBeGreaterThan(0);
      expect(bytes.length).toBeLessThanOrEqual(255);
      expect(bytes.toString()).toBe(text);
    }),
  );
});

function isAccepted(text: string): boolean {
  try {
    return parseSubject(text) === text;
  } catch {
    return false;
  }
}
