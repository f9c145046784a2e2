import { isAscii } from 'node:buffer';
import type { Command } from './pipeline.js';

/**
 * A reply in RESP2 or RESP3: a number, null, or the strings in it (a double of RESP3 is one).
 *
 * @see https://redis.io/docs/latest/develop/reference/protocol-spec/
 */
export type RespReply = Bulks | number | null | Error;

/** The strings of a reply in their order, those of arrays within arrays too. */
export interface Bulks {
  /** A character for each byte, so that what is no UTF-8 survives. */
  text: string;
  /** Where each string begins and ends in `text`; -1 and -1 for null. */
  at: number[];
  /** Whether all of it is ASCII, so that a byte is a character of UTF-8, too. */
  isAscii: boolean;
}

export const NO_BULKS: Bulks = { text: '', at: [], isAscii: true };

/** The bytes of a string, a character each. */
export function stringAt({ text, at }: Bulks, index: number): string {
  return text.substring(at[2 * index] ?? 0, at[2 * index + 1] ?? 0);
}

/** The number in a string. */
export function numberAt({ text, at }: Bulks, index: number): number {
  const from = at[2 * index] ?? 0;
  const end = at[2 * index + 1] ?? 0;
  if (end - from > SAFE_DIGITS) return Number(text.substring(from, end));
  let value = 0;
  for (let place = from; place < end; place++) {
    const digit = text.charCodeAt(place) - ZERO;
    if (digit < 0 || digit > 9) return Number(text.substring(from, end));
    value = value * 10 + digit;
  }
  return value;
}

export function stringOrNullAt(bulks: Bulks, index: number): string | null {
  return (bulks.at[2 * index] ?? -1) === -1 ? null : stringAt(bulks, index);
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
    for (const word of words) parts.push(encodedWords.get(word) ?? encodeWord(word));
  }
  return parts.join('');
}

function encodeWord(word: string | number): string {
  const value = String(word);
  const length = Buffer.byteLength(value);
  const bytes = length === value.length ? value : Buffer.from(value).toString('latin1');
  const encoded = `$${length}\r\n${bytes}\r\n`;
  if (encodedWords.size < REMEMBERED_WORDS) encodedWords.set(word, encoded);
  return encoded;
}

/** The names and options of commands come first, and again and again. */
const encodedWords = new Map<string | number, string>();
const REMEMBERED_WORDS = 100;

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
  #isAscii = true;

  /** @param onPush takes what a server says unasked, in RESP3 */
  constructor(onReply: (reply: RespReply) => void, onPush?: (push: Bulks) => void) {
    this.#onReply = onReply;
    this.#onPush = onPush;
  }

  /** @throws where it is no RESP */
  push(chunk: Buffer): void {
    const data = this.#rest.length === 0 ? chunk : Buffer.concat([this.#rest, chunk]);
    this.#isAscii = isAscii(data);
    let from = 0;
    for (let end = this.#read(data, from); end !== INCOMPLETE; end = this.#read(data, from)) from = end;
    this.#rest = data.subarray(from);
  }

  /** Passes on the reply that begins at `from`. @returns where the next one begins */
  #read(data: Buffer, from: number): number {
    const at: number[] = [];
    let next = from;
    // How many values are still to be read: an array is as many more as it says.
    for (let left = 1; left > 0; left--) {
      const line = next + 1;
      const lineEnd = data.indexOf(NEWLINE, line) - 1;
      if (lineEnd < 0) return INCOMPLETE;
      next = lineEnd + 2;
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
            at.push(-1, -1);
            break;
          }
          at.push(next - from, next - from + length);
          next += length + 2;
          if (next > data.length) return INCOMPLETE;
          break;
        }
        case UNDERSCORE:
          at.push(-1, -1);
          break;
        case PLUS:
        case MINUS:
        case COLON:
        case COMMA:
        case HASH:
          at.push(line - from, lineEnd - from);
          break;
        default:
          throw new Error('The server does not answer in the Redis protocol.');
      }
    }
    if (data[from] === GREATER_THAN) this.#onPush?.(toBulks(data, from, next, at, this.#isAscii));
    else this.#onReply(toReply(data, from, next, at, this.#isAscii));
    return next;
  }
}

function toReply(data: Buffer, from: number, end: number, at: number[], isAscii: boolean): RespReply {
  const type = data[from];
  if (type === COLON) return integerIn(data, from + 1, end - 2);
  if (type === MINUS) return replyError(data.toString('utf8', from + 1, end - 2));
  if ((type === DOLLAR || type === ASTERISK) && data[from + 1] === MINUS) return null;
  if (type === UNDERSCORE) return null;
  return toBulks(data, from, end, at, isAscii);
}

function toBulks(data: Buffer, from: number, end: number, at: number[], isAscii: boolean): Bulks {
  return { text: data.toString('latin1', from, end), at, isAscii };
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
const SAFE_DIGITS = 15;
const NEWLINE = '\n'.charCodeAt(0);
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
