import type { Writable } from 'node:stream';
import { printableLines } from '../domain/shared/text.js';

/**
 * The lines that a command writes on stderr beside its error. With `--json`, they wait for its end, because an error
 * is one JSON document, which then contains them.
 */
export class Diagnostics {
  readonly #stderr: Writable;
  #held: string[] | null;

  constructor(stderr: Writable, { hold }: { hold: boolean }) {
    this.#stderr = stderr;
    this.#held = hold ? [] : null;
  }

  write(line: string): void {
    if (this.#held !== null) this.#held.push(line);
    else this.#stderr.write(`${printableLines(line)}\n`);
  }

  /** Returns the lines that still wait, for the error document. */
  take(): readonly string[] {
    return this.#held?.splice(0) ?? [];
  }

  /** Writes the lines that wait, and from now on each line at once. */
  release(): void {
    const held = this.take();
    this.#held = null;
    for (const line of held) this.write(line);
  }
}
