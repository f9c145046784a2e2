import type { Writable } from 'node:stream';

const CLEAR_LINE = '\r\x1b[K';
const BAR_CHARACTERS = { done: '█', left: '░' };

/** A line on a terminal that is redrawn in place. The cursor and line wrapping stay as they are, so nothing needs restoring. */
export class StatusLine {
  readonly #stream: Writable;
  #isDrawn = false;

  constructor(stream: Writable) {
    this.#stream = stream;
  }

  draw(text: string): void {
    this.#stream.write(`${CLEAR_LINE}${text}`);
    this.#isDrawn = true;
  }

  clear(): void {
    if (this.#isDrawn) this.#stream.write(CLEAR_LINE);
    this.#isDrawn = false;
  }
}

/** @param part between 0 and 1 */
export function drawBar(part: number, width: number): string {
  const full = Math.round(Math.min(1, part) * width);
  return BAR_CHARACTERS.done.repeat(full) + BAR_CHARACTERS.left.repeat(width - full);
}
