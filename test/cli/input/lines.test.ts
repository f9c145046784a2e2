import { describe, expect, test } from 'vitest';
import { MAX_LINE_BYTES, readLines } from '../../../src/cli/input/lines.js';
import { readObjects } from '../../../src/cli/input/objects.js';
import type { Line } from '../../../src/domain/batch/line-batches.js';

async function* inPieces(bytes: Buffer, size: number) {
  for (let from = 0; from < bytes.length; from += size) yield bytes.subarray(from, from + size);
}

/** Returns each line's number with its text or error code, and checks that the chunk size does not matter. */
async function linesOf(input: string | Buffer): Promise<Array<[number, string]>> {
  const bytes = Buffer.from(input as string);
  const whole = await readIn(bytes, bytes.length + 1);
  if (bytes.length < 5_000) {
    for (const size of [1, 2, 3, 7]) expect(await readIn(bytes, size)).toEqual(whole);
  }
  return whole;
}

async function readIn(bytes: Buffer, size: number): Promise<Array<[number, string]>> {
  const lines: Array<Line<string>> = [];
  for await (const some of readLines(inPieces(bytes, size))) lines.push(...some);
  return lines.map((line) => [line.number, 'value' in line ? line.value : line.error.code]);
}

describe('lines', () => {
  test.each([
    { name: 'with a last newline', input: 'alice\nbob\n' },
    { name: 'without a last newline', input: 'alice\nbob' },
    { name: 'with CRLF', input: 'alice\r\nbob\r\n' },
    { name: 'with CRLF except on the last', input: 'alice\r\nbob\r' },
    { name: 'after a byte order mark', input: '\uFEFFalice\nbob' },
  ])('$name are read', async ({ input }) => {
    expect(await linesOf(input)).toEqual([
      [1, 'alice'],
      [2, 'bob'],
    ]);
  });

  test('that are empty are skipped, but count for line numbers', async () => {
    expect(await linesOf('\n\r\nalice\n\n\n bob \n\n')).toEqual([
      [3, 'alice'],
      [6, ' bob '],
    ]);
    expect(await linesOf('')).toEqual([]);
    expect(await linesOf('\uFEFF')).toEqual([]);
    expect(await linesOf('\n')).toEqual([]);
  });

  test('keep every character, including white space and marks', async () => {
    const odd = ['\talice ', 'a\rb', 'é😀\u0301', '\u2028', 'a\u0000b', '\uFFFD', 'x\uFEFF'];
    expect(await linesOf(odd.join('\n'))).toEqual(odd.map((line, index) => [index + 1, line]));
  });

  test('that are not UTF-8 are errors in their place', async () => {
    const bytes = Buffer.concat(
      ['a\n', Buffer.from([0xff]), '\n', Buffer.from([0xc3]), '\nb\n', Buffer.from([0xed, 0xa0, 0x80])].map(
        (part) => Buffer.from(part as string),
      ),
    );
    expect(await linesOf(bytes)).toEqual([
      [1, 'a'],
      [2, 'ERR_LINE_NOT_UTF8'],
      [3, 'ERR_LINE_NOT_UTF8'],
      [4, 'b'],
      [5, 'ERR_LINE_NOT_UTF8'],
    ]);
  });

  test('may be as long as the limit in bytes, and longer ones are errors', async () => {
    const longest = 'é'.repeat(MAX_LINE_BYTES / 2);
    const input = ['a', longest, `${longest}x`, 'b', 'x'.repeat(10 * MAX_LINE_BYTES), `${longest}\r`].join(
      '\n',
    );
    const expected = [
      [1, 'a'],
      [2, longest],
      [3, 'ERR_LINE_TOO_LONG'],
      [4, 'b'],
      [5, 'ERR_LINE_TOO_LONG'],
      [6, longest],
    ];
    expect(await linesOf(input)).toEqual(expected);
    expect(await readIn(Buffer.from(input), 10_007)).toEqual(expected);
  });

  test('are yielded as soon as they end', async () => {
    const seen: unknown[] = [];
    async function* chunks() {
      yield Buffer.from('ali');
      seen.push('a part of a line');
      yield Buffer.from('ce\nbo');
      seen.push('the end');
      yield Buffer.from('b');
    }
    for await (const lines of readLines(chunks())) if (lines.length > 0) seen.push(lines);
    expect(seen).toEqual([
      'a part of a line',
      [{ number: 1, value: 'alice' }],
      'the end',
      [{ number: 2, value: 'bob' }],
    ]);
  });

  test('that never end do not fill the memory', async () => {
    async function* endless() {
      for (let count = 0; count < 2_000; count++) yield Buffer.alloc(65_536, 'x');
    }
    const before = process.memoryUsage().rss;
    const lines: Array<Line<string>> = [];
    for await (const some of readLines(endless())) lines.push(...some);
    expect(lines).toMatchObject([{ number: 1, error: { code: 'ERR_LINE_TOO_LONG' } }]);
    expect(process.memoryUsage().rss - before).toBeLessThan(100_000_000);
  });
});

test('reads one JSON object per line', async () => {
  const lines = ['{"sub":"alice"}', ' {"__proto__":1} ', '[]', 'null', '"x"', '{', 'alice', '{"a":1}{"b":2}'];
  const objects: Array<Line<Record<string, unknown>>> = [];
  for await (const some of readObjects(readLines(inPieces(Buffer.from(lines.join('\n')), 9))))
    objects.push(...some);
  expect(objects.map((line) => ('value' in line ? Object.keys(line.value) : line.error.code))).toEqual([
    ...[['sub'], ['__proto__']],
    ...Array.from({ length: 6 }, () => 'ERR_LINE_NOT_JSON'),
  ]);
});
