import { isAscii } from 'node:buffer';
import { BulkStrings, NO_BULK_STRINGS } from './bulk-strings.js';
import type { Command } from './pipeline.js';

/**
 * A reply in RESP2 or RESP3: a number, null, or the strings in it (a double of RESP3 is one).
 *
 * @see https://redis.io/docs/latest/develop/reference/protocol-spec/
 */
export type RespReply = BulkStrings | number | null | Error;

/** The strings of a reply; none of a number or null. @throws an error reply */
export function bulkStringsIn(reply: RespReply | undefined): BulkStrings {
  if (reply instanceof Error) throw reply;
  return reply instanceof BulkStrings ? reply : NO_BULK_STRINGS;
}

/** A character for each byte. */
export function encodeCommands(commands: readonly Command[]): string {
  let text = '';
  for (const words of commands) {
    text += `*${words.length}\r\n`;
    for (const word of words) text += typeof word === 'number' ? encodeNumber(word) : encodeWord(word);
  }
  return text;
}

function encodeNumber(word: number): string {
  if (word < 0 || word >= SMALL_NUMBERS || !Number.isInteger(word)) return encodeBulk(String(word));
  let encoded = smallNumbers.get(word);
  if (encoded === undefined) {
    encoded = encodeBulk(String(word));
    smallNumbers.set(word, encoded);
  }
  return encoded;
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
const SMALL_NUMBERS = 1024;
const smallNumbers = new Map<number, string>();

/** Takes a stream of replies apart. */
export class RespParser {
  readonly #onReply: (reply: RespReply) => void;
  readonly #onPush: ((push: BulkStrings) => void) | undefined;
  /** The beginning of a reply whose end has not come yet. */
  #rest: Buffer = Buffer.alloc(0);
  /** Of what is at hand. */
  #data: Buffer = this.#rest;
  #text: string | null = null;
  #marks = new Int32Array();
  #marked = 0;
  #isAscii = true;

  /** @param onPush takes what a server says unasked, in RESP3 */
  constructor(onReply: (reply: RespReply) => void, onPush?: (push: BulkStrings) => void) {
    this.#onReply = onReply;
    this.#onPush = onPush;
  }

  /** @throws where it is no RESP */
  push(chunk: Buffer): void {
    const data = this.#rest.length === 0 ? chunk : Buffer.concat([this.#rest, chunk]);
    this.#data = data;
    this.#text = null;
    this.#marks = new Int32Array(2 * Math.ceil(data.length / USUAL_BYTES_PER_STRING));
    this.#marked = 0;
    this.#isAscii = isAscii(data);
    let from = 0;
    for (let end = this.#read(from); end !== INCOMPLETE; end = this.#read(from)) from = end;
    this.#rest = data.subarray(from);
  }

  /** Passes on the reply that begins at `from`. @returns where the next one begins */
  #read(from: number): number {
    const data = this.#data;
    let marks = this.#marks;
    const first = this.#marked;
    let marked = first;
    let next = from;
    // How many values are still to be read: an array is as many more as it says.
    for (let left = 1; left > 0; left--) {
      const line = next + 1;
      const lineEnd = endOfLine(data, line);
      next = lineEnd + 2;
      if (next > data.length) return INCOMPLETE;
      if (marked === marks.length) marks = this.#moreMarks();
      switch (data[line - 1]) {
        case ASTERISK:
        case GREATER_THAN:
        case TILDE:
          left += Math.max(0, integerIn(data, line, lineEnd));
          break;
        case PERCENT:
          left += 2 * integerIn(data, line, lineEnd);
          break;
        // A verbatim string begins with its format: `txt:`.
        case EQUALS:
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
    if (data[from] === GREATER_THAN) this.#onPush?.(this.#bulkStrings(first));
    else this.#onReply(this.#reply(from, next, first));
    return next;
  }

  /** What was read before keeps those it has. */
  #moreMarks() {
    const marks = new Int32Array(2 * this.#marks.length);
    marks.set(this.#marks);
    this.#marks = marks;
    return marks;
  }

  #reply(from: number, end: number, first: number): RespReply {
    const data = this.#data;
    const type = data[from];
    if (type === COLON) return integerIn(data, from + 1, end - 2);
    if (type === MINUS) return replyError(data.toString('utf8', from + 1, end - 2));
    if ((type === DOLLAR || type === ASTERISK) && data[from + 1] === MINUS) return null;
    if (type === UNDERSCORE) return null;
    return this.#bulkStrings(first);
  }

  #bulkStrings(first: number): BulkStrings {
    this.#text ??= this.#data.toString('latin1');
    const count = (this.#marked - first) / 2;
    const source = { text: this.#text, data: this.#data, marks: this.#marks, isAscii: this.#isAscii };
    return new BulkStrings(source, first, count);
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
/** Where they are shorter, the list of their marks grows. */
const USUAL_BYTES_PER_STRING = 16;
const RETURN = '\r'.charCodeAt(0);
const ASTERISK = '*'.charCodeAt(0);
const EQUALS = '='.charCodeAt(0);
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
