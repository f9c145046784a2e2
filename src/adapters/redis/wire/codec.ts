import { isAscii } from 'node:buffer';
import { BulkStrings } from './bulk-strings.js';
import type { Command } from './pipeline.js';
import { UnexpectedReplyError } from './redis-errors.js';

/** A reply in RESP2 or RESP3: a number, null, an error, or its strings (a RESP3 double is a string). */
export type RespReply = BulkStrings | number | null | Error;

/** @throws the error reply; UnexpectedReplyError for a number or null */
export function bulkStringsIn(reply: RespReply | undefined): BulkStrings {
  if (reply instanceof BulkStrings) return reply;
  throw reply instanceof Error ? reply : new UnexpectedReplyError();
}

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

/** Looks up short words only: looking up a key takes longer than encoding it. */
function encodeWord(word: string): string {
  return (word.length > LONGEST_FREQUENT ? undefined : frequentWords.get(word)) ?? encodeBulk(word);
}

function encodeBulk(value: string): string {
  const length = Buffer.byteLength(value);
  const bytes = length === value.length ? value : Buffer.from(value).toString('latin1');
  return `$${length}\r\n${bytes}\r\n`;
}

const LONGEST_FREQUENT = 'getkeysinslot'.length;

const frequentWords = new Map(
  ['cluster', 'getkeysinslot', 'zscan', 'COUNT', 'zmscore'].map((word) => [word, encodeBulk(word)]),
);
const SMALL_NUMBERS = 1024;
const smallNumbers = new Map<number, string>();

export class RespParser {
  readonly #onReply: (reply: RespReply) => void;
  readonly #onPush: ((push: BulkStrings) => void) | undefined;
  #rest: Buffer = Buffer.alloc(0);
  #data: Buffer = this.#rest;
  #text: string | null = null;
  #offsets = new Int32Array();
  #used = 0;
  #isAscii = true;

  /** @param onPush receives RESP3 push messages */
  constructor(onReply: (reply: RespReply) => void, onPush?: (push: BulkStrings) => void) {
    this.#onReply = onReply;
    this.#onPush = onPush;
  }

  push(chunk: Buffer): void {
    const data = this.#rest.length === 0 ? chunk : Buffer.concat([this.#rest, chunk]);
    this.#data = data;
    this.#text = null;
    this.#offsets = new Int32Array(2 * Math.ceil(data.length / USUAL_BYTES_PER_STRING));
    this.#used = 0;
    this.#isAscii = isAscii(data);
    let from = 0;
    for (let end = this.#read(from); end !== INCOMPLETE; end = this.#read(from)) from = end;
    this.#rest = data.subarray(from);
    if (this.#rest.length > MOST_BYTES_OF_REPLY) throw new UnexpectedReplyError();
  }

  /** Returns where the next reply begins, or INCOMPLETE. */
  #read(from: number): number {
    const data = this.#data;
    let offsets = this.#offsets;
    const first = this.#used;
    let used = first;
    let next = from;
    // An array adds its length to the number of values still to read.
    for (let left = 1; left > 0; left--) {
      const line = next + 1;
      const lineEnd = endOfLine(data, line);
      next = lineEnd + 2;
      if (next > data.length) return INCOMPLETE;
      if (used === offsets.length) offsets = this.#growOffsets();
      switch (data[line - 1]) {
        case ASTERISK:
        case GREATER_THAN:
        case TILDE:
          left += Math.max(0, integerIn(data, line, lineEnd));
          break;
        case PERCENT:
          left += 2 * integerIn(data, line, lineEnd);
          break;
        // A verbatim string keeps its format prefix (`txt:`).
        case EQUALS:
        case DOLLAR: {
          const length = integerIn(data, line, lineEnd);
          if (length < 0) {
            offsets[used++] = -1;
            offsets[used++] = -1;
            break;
          }
          offsets[used++] = next;
          offsets[used++] = next + length;
          next += length + 2;
          if (next > data.length) return INCOMPLETE;
          break;
        }
        case UNDERSCORE:
          offsets[used++] = -1;
          offsets[used++] = -1;
          break;
        case PLUS:
        case MINUS:
        case COLON:
        case COMMA:
        case HASH:
          offsets[used++] = line;
          offsets[used++] = lineEnd;
          break;
        default:
          throw new UnexpectedReplyError();
      }
    }
    this.#used = used;
    if (data[from] === GREATER_THAN) this.#onPush?.(this.#bulkStrings(first));
    else this.#onReply(this.#reply(from, next, first));
    return next;
  }

  /** Allocates a new array, because earlier replies keep theirs. */
  #growOffsets() {
    const offsets = new Int32Array(2 * this.#offsets.length);
    offsets.set(this.#offsets);
    this.#offsets = offsets;
    return offsets;
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
    const count = (this.#used - first) / 2;
    const source = { text: this.#text, data: this.#data, offsets: this.#offsets, isAscii: this.#isAscii };
    return new BulkStrings(source, first, count);
  }
}

/** Faster than `indexOf`, because lines have only a few bytes. */
function endOfLine(data: Buffer, from: number): number {
  let end = from;
  while (end < data.length && data[end] !== RETURN) end++;
  return end;
}

/** Named as ioredis names it, for {@link replyCode}. */
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

/** Redis sends jwtctl a few megabytes at most. A server that never ends a reply must not fill the memory. */
export const MOST_BYTES_OF_REPLY = 64 * 2 ** 20;

const INCOMPLETE = -1;
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
