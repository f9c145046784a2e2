import { familyOf } from '../model/family.js';
import type { EntryStore, Registration, RegistrationOutcome, TokenStatusReader } from '../ports/index.js';
import { JwtctlError } from '../shared/errors.js';
import { isUnavailable } from './register-many.js';
import { tokenLimit } from './token-limit.js';

/** Predicts what a registration would return. Earlier predictions count toward the limit, and as known entries. */
export class RegistrationPlan {
  readonly #registry: Pick<EntryStore & TokenStatusReader, 'list' | 'tokenStatus'>;
  /** By subject: the tokens that there would be, those of a session as one. */
  readonly #sessions = new Map<string, Set<string>>();
  readonly #added = new Set<string>();

  constructor(registry: Pick<EntryStore & TokenStatusReader, 'list' | 'tokenStatus'>) {
    this.#registry = registry;
  }

  /** Returns what `registerMany` would return. @throws JwtctlError (unavailable) if no entry could be read */
  async predictMany(registrations: readonly Registration[]): Promise<RegistrationOutcome[]> {
    const read = await Promise.allSettled(registrations.map((registration) => this.#read(registration)));
    const outcomes = read.map((look, index) => {
      if (look.status === 'fulfilled') return look.value ? 'known' : this.#predict(registrations[index]);
      if (look.reason instanceof JwtctlError) return look.reason;
      throw look.reason;
    });
    const [first] = outcomes;
    if (first instanceof JwtctlError && outcomes.every(isUnavailable)) throw first;
    return outcomes;
  }

  /** Returns whether the entry exists. */
  async #read({ sub, entry, now, maxPerSubject, onLimit }: Registration): Promise<boolean> {
    const { exp } = await this.#registry.tokenStatus(sub, entry, now);
    if (exp === null && onLimit === 'refuse' && maxPerSubject !== undefined && !this.#sessions.has(sub)) {
      const entries = await this.#registry.list(sub, now);
      const sessions = new Set(entries.map(({ jti }) => sessionOf(jti)));
      if (!this.#sessions.has(sub)) this.#sessions.set(sub, sessions);
    }
    return exp !== null;
  }

  #predict(registration: Registration | undefined): RegistrationOutcome {
    if (registration === undefined) return 'added';
    const { jti, keyId, iat } = registration.entry;
    const name = JSON.stringify([registration.sub, jti, keyId, iat]);
    if (this.#added.has(name)) return 'known';
    const outcome = this.#admit(registration);
    if (this.#added.size >= MOST_REMEMBERED) this.#added.clear();
    if (outcome === 'added') this.#added.add(name);
    return outcome;
  }

  #admit(registration: Registration): RegistrationOutcome {
    const { sub, entry, maxPerSubject = Number.POSITIVE_INFINITY } = registration;
    const sessions = this.#sessions.get(sub);
    if (sessions === undefined) return 'added';
    const session = sessionOf(entry.jti);
    if (!sessions.has(session) && sessions.size >= maxPerSubject) return tokenLimit(sub, registration);
    sessions.add(session);
    return 'added';
  }
}

/** A file may have more tokens than fit into memory. */
const MOST_REMEMBERED = 500_000;

function sessionOf(jti: string): string {
  return familyOf(jti) ?? jti;
}
