import { familyOf } from '../model/family.js';
import type { EntryStore, Registration, RegistrationOutcome, TokenStatusReader } from '../ports/index.js';
import { JwtctlError } from '../shared/errors.js';
import { idleSeconds } from './idle.js';
import { isUnavailable } from './register-many.js';
import { tokenLimit } from './token-limit.js';

type PlanRegistry = Pick<EntryStore & TokenStatusReader, 'idleTimeoutSeconds' | 'list' | 'tokenStatus'>;

/** Predicts what a registration would return. Earlier predictions count toward the limit, and as known entries. */
export class RegistrationPlan {
  readonly #registry: PlanRegistry;
  /** By subject with `onLimit` refuse: the tokens that there would be, those of a session as one. */
  readonly #sessions = new Map<string, Set<string>>();
  /** The lists that are being read, because many lines may be of one subject. */
  readonly #lists = new Map<string, Promise<void>>();
  readonly #added = new Set<string>();

  constructor(registry: PlanRegistry) {
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
    const isLimited = exp === null && onLimit === 'refuse' && maxPerSubject !== undefined;
    if (isLimited && !this.#sessions.has(sub)) await this.#listOnce(sub, now);
    return exp !== null;
  }

  #listOnce(sub: string, now: number): Promise<void> {
    const listing = this.#lists.get(sub) ?? this.#list(sub, now).finally(() => this.#lists.delete(sub));
    this.#lists.set(sub, listing);
    return listing;
  }

  /** Right after a restart of Redis, a registration may still count a token that is idle here. */
  async #list(sub: string, now: number): Promise<void> {
    const { idleTimeoutSeconds } = this.#registry;
    const entries = await this.#registry.list(sub, now);
    const counted = entries.filter(
      ({ lastSeen }) => idleSeconds(lastSeen, idleTimeoutSeconds, now) === undefined,
    );
    this.#sessions.set(sub, new Set(counted.map(({ jti }) => sessionOf(jti))));
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
