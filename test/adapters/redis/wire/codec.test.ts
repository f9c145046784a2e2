import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  type BulkStrings,
  numberAt,
  stringAt,
  stringOrNullAt,
  utf8At,
} from '../../../../src/adapters/redis/wire/bulk-strings.js';
import { encodeCommands, RespParser, type RespReply } from '../../../../src/adapters/redis/wire/codec.js';

function parse(...chunks: Buffer[]): RespReply[] {
  const replies: RespReply[] = [];
  const parser = new RespParser((reply) => replies.push(reply));
  for (const chunk of chunks) parser.push(chunk);
  return replies;
}

/** Encodes a value as a server does. */
function encode(value: unknown): Buffer {
  if (value === null) return Buffer.from('$-1\r\n');
  if (typeof value === 'number') return Buffer.from(`:${value}\r\n`);
  if (value instanceof Error) return Buffer.from(`-${value.message}\r\n`);
  if (Array.isArray(value)) return Buffer.concat([Buffer.from(`*${value.length}\r\n`), ...value.map(encode)]);
  const bytes = value as Buffer;
  return Buffer.concat([Buffer.from(`$${bytes.length}\r\n`), bytes, Buffer.from('\r\n')]);
}

function flat(value: unknown): Array<string | null> {
  if (Array.isArray(value)) return value.flatMap(flat);
  return [
    value === null ? null : typeof value === 'number' ? `${value}` : (value as Buffer).toString('latin1'),
  ];
}

describe('replies', () => {
  const bytes = fc.uint8Array({ maxLength: 40 }).map((array) => Buffer.from(array));
  const leaf = fc.oneof(bytes, fc.constant(null), fc.integer({ min: -1e9, max: 1e9 }));
  const array = fc.array(fc.oneof(leaf, fc.array(leaf, { maxLength: 5 })), { maxLength: 8 });
  const error = fc.constantFrom(new Error('WRONGTYPE of it'), new Error('MOVED 1 127.0.0.1:7000'));

  test('are the same however the stream is split', () => {
    const cuts = fc.array(fc.nat(), { maxLength: 12 });
    fc.assert(
      fc.property(fc.array(fc.oneof(leaf, array, error), { maxLength: 10 }), cuts, (values, places) => {
        const stream = Buffer.concat(values.map(encode));
        const ends = [...places.map((place) => place % (stream.length + 1)), stream.length];
        const chunks: Buffer[] = [];
        let from = 0;
        for (const end of ends.sort((a, b) => a - b)) {
          chunks.push(stream.subarray(from, end));
          from = end;
        }
        const replies = parse(...chunks);
        expect(replies).toHaveLength(values.length);
        for (const [index, value] of values.entries()) {
          const reply = replies[index];
          if (value === null || typeof value === 'number') expect(reply).toBe(value);
          else if (value instanceof Error)
            expect(reply).toMatchObject({ name: 'ReplyError', message: value.message });
          else if (reply instanceof Error || typeof reply !== 'object' || reply === null)
            expect.unreachable();
          else {
            const strings = Array.from({ length: reply.count }, (_, place) => stringOrNullAt(reply, place));
            expect(strings).toEqual(flat(value));
          }
        }
      }),
    );
  });

  test('decode as UTF-8, and other bytes are kept', () => {
    const [reply] = parse(encode([Buffer.from('é😀'), Buffer.from([0xff, 0x00, 0xfe])]));
    if (reply === null || typeof reply !== 'object' || reply instanceof Error) return expect.unreachable();
    expect(utf8At(reply, 0)).toBe('é😀');
    expect(Buffer.from(stringAt(reply, 1), 'latin1')).toEqual(Buffer.from([0xff, 0x00, 0xfe]));
  });

  test('in RESP3 read like those in RESP2, and push messages go to onPush', () => {
    const replies: RespReply[] = [];
    const pushes: BulkStrings[] = [];
    const parser = new RespParser(
      (reply) => replies.push(reply),
      (push) => pushes.push(push),
    );
    const stream = [
      '*3\r\n,1700000000\r\n_\r\n,-1.5\r\n',
      '>2\r\n$10\r\ninvalidate\r\n*2\r\n$1\r\na\r\n$1\r\nb\r\n',
      '_\r\n',
      '%2\r\n+proto\r\n:3\r\n+modules\r\n~1\r\n#t\r\n',
      '>2\r\n$10\r\ninvalidate\r\n_\r\n',
      ':7\r\n',
    ].join('');
    for (const byte of Buffer.from(stream)) parser.push(Buffer.from([byte]));

    const textsOf = (bulkStrings: BulkStrings) =>
      Array.from({ length: bulkStrings.count }, (_, place) => stringOrNullAt(bulkStrings, place));
    const [scores, nothing, hello, number] = replies;
    expect(textsOf(scores as BulkStrings)).toEqual(['1700000000', null, '-1.5']);
    expect(numberAt(scores as BulkStrings, 0)).toBe(1_700_000_000);
    expect(nothing).toBeNull();
    expect(textsOf(hello as BulkStrings)).toEqual(['proto', '3', 'modules', 't']);
    expect(number).toBe(7);
    expect(pushes.map(textsOf)).toEqual([
      ['invalidate', 'a', 'b'],
      ['invalidate', null],
    ]);
  });

  test('that are not RESP are refused', () => {
    expect(() => parse(Buffer.from('HTTP/1.1 400 Bad Request\r\n\r\n'))).toThrow(/unexpected reply/);
  });
});

test('encodes commands by bytes', () => {
  const text = encodeCommands([['set', 'é', 1], ['ping']]);
  expect(Buffer.from(text, 'latin1').toString()).toBe(
    '*3\r\n$3\r\nset\r\n$2\r\né\r\n$1\r\n1\r\n*1\r\n$4\r\nping\r\n',
  );
});
