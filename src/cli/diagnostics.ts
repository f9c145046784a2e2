import type { Writable } from 'node:stream';
import { printableLines } from '../domain/shared/text.js';
import type { CompleteCommands } from './given-flags.js';

/**
 * The lines that a command writes on stderr beside its error. With `--json`, they wait for its end, because an error
 * is one JSON document, which then contains them.
 */
export class Diagnostics {
  readonly #io: { readonly stderr: Writable };
  readonly #complete: CompleteCommands;
  #held: string[] | null;

  constructor(
    io: { readonly stderr: Writable },
    { hold, complete = (text) => text }: { hold: boolean; complete?: CompleteCommands },
  ) {
    this.#io = io;
    this.#complete = complete;
    this.#held = hold ? [] : null;
  }

  write(line: string): void {
    const text = this.#complete(line);
    if (this.#held !== null) this.#held.push(text);
    else this.#io.stderr.write(`${printableLines(text)}\n`);
  }

  /** Returns the lines that still wait, for the error document. */
  take(): readonly string[] {
    return this.#held?.splice(0) ?? [];
  }

  /** Writes the lines that wait, and from now on each line at once. */
  release(): void {
    const held = this.take();
    this.#held = null;
    for (const line of held) this.#io.stderr.write(`${printableLines(line)}\n`);
  }
}
