import { isAscii } from 'node:buffer';
import type { Command } from './pipeline.js';

/**
 * A reply in RESP2 or RESP3: a number, null, or the strings in it (a double of RESP3 is one).
 *
 * @see https://redis.io/docs/latest/develop/reference/protocol-spec/
 */
export type RespReply = Bulks | number | null | Error;

/**
 * The strings of a reply in their order, those of arrays within arrays too. What came together shares one text and one list
 * of marks: of a million entries to take apart, those of each reply alone were a quarter of the time.
 */
export interface Bulks {
  /** A character for each byte, so that what is no UTF-8 survives. */
  text: string;
  /** The same as bytes: numbers are read from them in half the time. */
  data: Uint8Array;
  /** Where each string begins and ends; -1 and -1 for null. */
  marks: Int32Array;
  /** The mark at which the first string of this reply begins. */
  first: number;
  /** How many strings there are. */
  count: number;
  /** Whether all of it is ASCII, so that a byte is a character of UTF-8, too. */
  isAscii: boolean;
}

export const NO_BULKS: Bulks = {
  ...{ text: '', data: new Uint8Array(), marks: new Int32Array(), first: 0, count: 0, isAscii: true },
};

/** Strings that came another way, in UTF-8. */
export function bulksOf(strings: ReadonlyArray<string | null>): Bulks {
  const pieces = strings.map((string) => Buffer.from(string ?? ''));
  const data = Buffer.concat(pieces);
  const marks = new Int32Array(2 * strings.length);
  let from = 0;
  for (const [index, { length }] of pieces.entries()) {
    marks.set(strings[index] === null ? [-1, -1] : [from, from + length], 2 * index);
    from += length;
  }
  const text = data.toString('latin1');
  return { text, data, marks, first: 0, count: strings.length, isAscii: isAscii(data) };
}

/** Where a string begins in the text; -1 for null. */
export function startOf({ marks, first }: Bulks, index: number): number {
  return marks[first + 2 * index] ?? -1;
}

export function endOf({ marks, first }: Bulks, index: number): number {
  return marks[first + 2 * index + 1] ?? -1;
}

/** How many bytes the strings are, with what stands between them. */
export function sizeOf(bulks: Bulks): number {
  return bulks.count === 0 ? 0 : Math.max(0, endOf(bulks, bulks.count - 1) - startOf(bulks, 0));
}

/** The bytes of a string, a character each; of null none. */
export function stringAt(bulks: Bulks, index: number): string {
  return bulks.text.substring(startOf(bulks, index), endOf(bulks, index));
}

/** The number in a string. */
export function numberAt(bulks: Bulks, index: number): number {
  const from = startOf(bulks, index);
  const end = endOf(bulks, index);
  if (end - from > SAFE_DIGITS) return Number(stringAt(bulks, index));
  let value = 0;
  for (let place = from; place < end; place++) {
    const digit = (bulks.data[place] ?? 0) - ZERO;
    if (digit < 0 || digit > 9) return Number(stringAt(bulks, index));
    value = value * 10 + digit;
  }
  return value;
}

export function numberOrNullAt(bulks: Bulks, index: number): number | null {
  return startOf(bulks, index) === -1 ? null : numberAt(bulks, index);
}

export function stringOrNullAt(bulks: Bulks, index: number): string | null {
  return startOf(bulks, index) === -1 ? null : stringAt(bulks, index);
}

export function utf8At(bulks: Bulks, index: number): string {
  const bytes = stringAt(bulks, index);
  return bulks.isAscii ? bytes : utf8(bytes);
}

/** A character for each byte. */
export function encodeCommands(commands: readonly Command[]): string {
  const parts: string[] = [];
  for (const words of commands) {
    parts.push(`*${words.length}\r\n`);
    for (const word of words) parts.push(typeof word === 'number' ? encodeDigits(word) : encodeWord(word));
  }
  return parts.join('');
}

function encodeDigits(word: number): string {
  const digits = String(word);
  return `$${digits.length}\r\n${digits}\r\n`;
}

/** A key is too long to be looked for: that takes longer than to encode it. */
function encodeWord(word: string): string {
  return (word.length > LONGEST_FIXED ? undefined : fixedWords.get(word)) ?? encodeBulk(word);
}

function encodeBulk(value: string): string {
  const length = Buffer.byteLength(value);
  const bytes = length === value.length ? value : Buffer.from(value).toString('latin1');
  return `$${length}\r\n${bytes}\r\n`;
}

const LONGEST_FIXED = 'getkeysinslot'.length;

/** What comes again and again in great numbers. */
const fixedWords = new Map(
  ['cluster', 'getkeysinslot', 'zscan', 'COUNT', 'zmscore'].map((word) => [word, encodeBulk(word)]),
);

/** What bytes, a character each, are in UTF-8. */
export function utf8(bytes: string): string {
  return Buffer.from(bytes, 'latin1').toString();
}

/** Takes a stream of replies apart. */
export class RespParser {
  readonly #onReply: (reply: RespReply) => void;
  readonly #onPush: ((push: Bulks) => void) | undefined;
  /** The beginning of a reply whose end has not come yet. */
  #rest: Buffer = Buffer.alloc(0);
  /** Of what is at hand. */
  #data: Buffer = this.#rest;
  #text: string | null = null;
  #marks = new Int32Array();
  #marked = 0;
  #isAscii = true;

  /** @param onPush takes what a server says unasked, in RESP3 */
  constructor(onReply: (reply: RespReply) => void, onPush?: (push: Bulks) => void) {
    this.#onReply = onReply;
    this.#onPush = onPush;
  }

  /** @throws where it is no RESP */
  push(chunk: Buffer): void {
    const data = this.#rest.length === 0 ? chunk : Buffer.concat([this.#rest, chunk]);
    this.#data = data;
    this.#text = null;
    this.#marks = new Int32Array(2 * Math.ceil(data.length / LEAST_BYTES_PER_VALUE));
    this.#marked = 0;
    this.#isAscii = isAscii(data);
    let from = 0;
    for (let end = this.#read(from); end !== INCOMPLETE; end = this.#read(from)) from = end;
    this.#rest = data.subarray(from);
  }

  /** Passes on the reply that begins at `from`. @returns where the next one begins */
  #read(from: number): number {
    const data = this.#data;
    const marks = this.#marks;
    const first = this.#marked;
    let marked = first;
    let next = from;
    // How many values are still to be read: an array is as many more as it says.
    for (let left = 1; left > 0; left--) {
      const line = next + 1;
      const lineEnd = endOfLine(data, line);
      next = lineEnd + 2;
      if (next > data.length) return INCOMPLETE;
      switch (data[line - 1]) {
        case ASTERISK:
        case GREATER_THAN:
        case TILDE:
          left += Math.max(0, integerIn(data, line, lineEnd));
          break;
        case PERCENT:
          left += 2 * integerIn(data, line, lineEnd);
          break;
        case DOLLAR: {
          const length = integerIn(data, line, lineEnd);
          if (length < 0) {
            marks[marked++] = -1;
            marks[marked++] = -1;
            break;
          }
          marks[marked++] = next;
          marks[marked++] = next + length;
          next += length + 2;
          if (next > data.length) return INCOMPLETE;
          break;
        }
        case UNDERSCORE:
          marks[marked++] = -1;
          marks[marked++] = -1;
          break;
        case PLUS:
        case MINUS:
        case COLON:
        case COMMA:
        case HASH:
          marks[marked++] = line;
          marks[marked++] = lineEnd;
          break;
        default:
          throw new Error('The server does not answer in the Redis protocol.');
      }
    }
    this.#marked = marked;
    if (data[from] === GREATER_THAN) this.#onPush?.(this.#bulks(first));
    else this.#onReply(this.#reply(from, next, first));
    return next;
  }

  #reply(from: number, end: number, first: number): RespReply {
    const data = this.#data;
    const type = data[from];
    if (type === COLON) return integerIn(data, from + 1, end - 2);
    if (type === MINUS) return replyError(data.toString('utf8', from + 1, end - 2));
    if ((type === DOLLAR || type === ASTERISK) && data[from + 1] === MINUS) return null;
    if (type === UNDERSCORE) return null;
    return this.#bulks(first);
  }

  #bulks(first: number): Bulks {
    this.#text ??= this.#data.toString('latin1');
    const count = (this.#marked - first) / 2;
    const [text, data, marks, isAscii] = [this.#text, this.#data, this.#marks, this.#isAscii];
    return { text, data, marks, first, count, isAscii };
  }
}

/** Lines are of a few bytes, for which a call of `indexOf` takes longer than to look at each. */
function endOfLine(data: Buffer, from: number): number {
  let end = from;
  while (end < data.length && data[end] !== RETURN) end++;
  return end;
}

/** As ioredis names it: see {@link replyCode}. */
function replyError(message: string): Error {
  const error = new Error(message);
  error.name = 'ReplyError';
  return error;
}

function integerIn(data: Buffer, from: number, end: number): number {
  if (data[from] === MINUS) return -integerIn(data, from + 1, end);
  let value = 0;
  for (let index = from; index < end; index++) value = value * 10 + (data[index] ?? 0) - ZERO;
  return value;
}

const INCOMPLETE = -1;
/** `_` and the end of its line. */
const LEAST_BYTES_PER_VALUE = 3;
const SAFE_DIGITS = 15;
const RETURN = '\r'.charCodeAt(0);
const ASTERISK = '*'.charCodeAt(0);
const DOLLAR = '$'.charCodeAt(0);
const PLUS = '+'.charCodeAt(0);
const MINUS = '-'.charCodeAt(0);
const COLON = ':'.charCodeAt(0);
const ZERO = '0'.charCodeAt(0);
const COMMA = ','.charCodeAt(0);
const UNDERSCORE = '_'.charCodeAt(0);
const HASH = '#'.charCodeAt(0);
const GREATER_THAN = '>'.charCodeAt(0);
const TILDE = '~'.charCodeAt(0);
const PERCENT = '%'.charCodeAt(0);
