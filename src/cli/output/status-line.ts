import type { Writable } from 'node:stream';

const CLEAR_LINE = '\r\x1b[K';
const BAR_CHARACTERS = { done: '█', rest: '░' };

/** A terminal line that is redrawn in place. Needs no restoring: cursor and wrapping stay unchanged. */
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

export function drawBar(part: number, width: number): string {
  const full = Math.round(Math.min(1, part) * width);
  return BAR_CHARACTERS.done.repeat(full) + BAR_CHARACTERS.rest.repeat(width - full);
}
