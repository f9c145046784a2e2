import { isUtf8 } from 'node:buffer';
import type { Line } from '../../domain/batch/line-batches.js';
import { JwtctlError } from '../../domain/shared/errors.js';

export const MAX_LINE_BYTES = 65_536;

const NEWLINE = 0x0a;
const CARRIAGE_RETURN = 0x0d;
const BYTE_ORDER_MARK = Buffer.from('\uFEFF');
const NOTHING = Buffer.alloc(0);

/** Yields each line once it ends. Skips empty lines. A line that is too long or not UTF-8 is an error. */
export async function* readLines(chunks: AsyncIterable<Buffer>): AsyncGenerator<Array<Line<string>>> {
  const splitter = new LineSplitter();
  for await (const chunk of chunks) yield splitter.push(chunk);
  yield splitter.end();
}

class LineSplitter {
  #number = 0;
  /** The start of a line that has not ended. */
  #begun = NOTHING;
  #isTooLong = false;

  push(chunk: Buffer): Array<Line<string>> {
    const lines: Array<Line<string>> = [];
    let from = 0;
    for (let to = chunk.indexOf(NEWLINE); to !== -1; to = chunk.indexOf(NEWLINE, from)) {
      this.#extend(chunk.subarray(from, to));
      lines.push(...this.#finish());
      from = to + 1;
    }
    this.#extend(chunk.subarray(from));
    return lines;
  }

  end(): Array<Line<string>> {
    return this.#begun.length > 0 || this.#isTooLong ? this.#finish() : [];
  }

  #extend(bytes: Buffer): void {
    if (this.#isTooLong) return;
    // Copied, because the chunk may be overwritten, and a slice would keep all of it in memory.
    this.#begun = this.#begun.length === 0 ? Buffer.from(bytes) : Buffer.concat([this.#begun, bytes]);
    // Allows for a carriage return and a byte order mark.
    this.#isTooLong = this.#begun.length > MAX_LINE_BYTES + 4;
  }

  #finish(): Array<Line<string>> {
    this.#number += 1;
    const number = this.#number;
    const isTooLong = this.#isTooLong;
    const bytes = this.#trimmed();
    this.#begun = NOTHING;
    this.#isTooLong = false;
    if (isTooLong || bytes.length > MAX_LINE_BYTES) return [{ number, error: tooLong() }];
    if (bytes.length === 0) return [];
    return [isUtf8(bytes) ? { number, value: bytes.toString('utf8') } : { number, error: notUtf8() }];
  }

  #trimmed(): Buffer {
    const bytes = this.#begun;
    const hasMark = this.#number === 1 && bytes.subarray(0, 3).equals(BYTE_ORDER_MARK);
    const hasReturn = bytes.at(-1) === CARRIAGE_RETURN;
    return bytes.subarray(hasMark ? 3 : 0, hasReturn ? -1 : undefined);
  }
}

function tooLong(): JwtctlError {
  return new JwtctlError('ERR_LINE_TOO_LONG', `The line is longer than ${MAX_LINE_BYTES} bytes.`);
}

function notUtf8(): JwtctlError {
  return new JwtctlError('ERR_LINE_NOT_UTF8', 'The line is not well-formed UTF-8. Save the file as UTF-8.');
}
