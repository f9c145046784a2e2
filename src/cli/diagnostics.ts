import type { Writable } from 'node:stream';
import { printableLines } from '../domain/shared/text.js';

/**
 * The lines that a command writes on stderr beside its error. With `--json`, they wait for its end, because an error
 * is one JSON document, which then contains them.
 */
export class Diagnostics {
  readonly #io: { readonly stderr: Writable };
  #held: string[] | null;

  constructor(io: { readonly stderr: Writable }, { hold }: { hold: boolean }) {
    this.#io = io;
    this.#held = hold ? [] : null;
  }

  write(line: string): void {
    if (this.#held !== null) this.#held.push(line);
    else this.#io.stderr.write(`${printableLines(line)}\n`);
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
