import { byAge, type RegistryEntry } from '../model/registry-entry.js';
import { type ListOptions, MOST_LISTED } from '../ports/entry-store.js';
import { JwtctlError } from '../shared/errors.js';
import { excerpt } from '../shared/text.js';

/** Keeps the entries that a list shows, while all of a subject are read. */
export class OldestEntries<Entry extends RegistryEntry> {
  readonly #sub: string;
  readonly #limit: number | null;
  readonly #jtis: ReadonlySet<string> | null;
  #kept: Entry[] = [];
  /** The last one of a full list. */
  #last: Entry | null = null;

  constructor(sub: string, { limit, jtis }: ListOptions) {
    this.#sub = sub;
    this.#limit = limit ?? null;
    this.#jtis = jtis === undefined ? null : new Set(jtis);
  }

  /** @throws JwtctlError `ERR_SUBJECT_TOO_LARGE` (state) */
  add(entries: readonly Entry[]): void {
    for (const entry of entries) {
      if (this.#jtis?.has(entry.jti) === false) continue;
      if (this.#last === null || byAge(entry, this.#last) < 0) this.#kept.push(entry);
    }
    if (this.#kept.length > 2 * (this.#limit ?? Number.POSITIVE_INFINITY)) this.#sort();
    if (this.#limit === null && this.#kept.length > MOST_LISTED) throw tooLarge(this.#sub);
  }

  list(): Entry[] {
    this.#sort();
    return this.#kept;
  }

  #sort(): void {
    this.#kept = this.#kept.sort(byAge).slice(0, this.#limit ?? undefined);
    if (this.#limit !== null && this.#kept.length === this.#limit) this.#last = this.#kept.at(-1) ?? null;
  }
}

export function tooLarge(sub: string): JwtctlError {
  return new JwtctlError(
    'ERR_SUBJECT_TOO_LARGE',
    `The subject ${excerpt(sub)} has more than ${MOST_LISTED.toLocaleString('en-US')} live tokens or sessions.`,
    { details: { sub } },
  );
}
