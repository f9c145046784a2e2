import { setTimeout as delay } from 'node:timers/promises';
import type { EntryName } from '../../../domain/ports/index.js';
import { entryMember } from '../keyspace.js';
import { TOUCH } from '../scripts/index.js';
import type { RegistrySession } from '../session.js';
import { outcomeIn } from '../wire/reply-shapes.js';

/**
 * Stores when tokens were used. Gathers the uses of a moment: a pipeline costs as much as many of its commands, and
 * each write to a subject makes near caches read it again.
 */
export class UseWriter {
  readonly #session: RegistrySession;
  readonly #tolerance: number;
  readonly #gathered = new Map<string, { uses: Use[]; written: Promise<void> }>();
  #gathering: Promise<void> | null = null;

  constructor(session: RegistrySession, tolerance: number) {
    this.#session = session;
    this.#tolerance = tolerance;
  }

  write(sub: string, use: Use): Promise<void> {
    const known = this.#gathered.get(sub);
    if (known !== undefined) {
      known.uses.push(use);
      return known.written;
    }
    const uses = [use];
    this.#gathering ??= delay(GATHERING_MS).then(() => {
      this.#gathering = null;
      this.#gathered.clear();
    });
    const written = this.#gathering.then(() => this.#writeSubject(sub, uses));
    this.#gathered.set(sub, { uses, written });
    return written;
  }

  async #writeSubject(sub: string, uses: readonly Use[]): Promise<void> {
    const { batcher, keyspace } = this.#session;
    const { entries, meta, slot } = keyspace.keysOf(sub);
    for (let from = 0; from < uses.length; from += USES_PER_CALL) {
      const portion = uses.slice(from, from + USES_PER_CALL);
      const horizon = Math.max(...portion.map(({ now }) => now)) - this.#tolerance;
      const own = portion.flatMap(({ entry, now, replaces = 0 }) => [entryMember(entry), -now, -replaces]);
      const args = [horizon, this.#tolerance, ...own];
      await batcher.read({ slot, script: TOUCH, keys: [entries, meta], args }, outcomeIn);
    }
  }
}

export interface Use {
  entry: EntryName;
  now: number;
  replaces?: number | undefined;
}

const GATHERING_MS = 50;
const USES_PER_CALL = 100;
