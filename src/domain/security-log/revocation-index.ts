import { setImmediate } from 'node:timers/promises';
import type { SecurityEvent, SecurityLog } from '../ports/index.js';

/** The latest change of a user that the security log tells of. */
export interface UserChange {
  type: Extract<SecurityEvent['type'], 'user_disabled' | 'user_enabled' | 'user_removed'>;
  version: number;
}

/** Reads the events of the security log that may cover these tokens; a null `jti` stands for a token to be made. */
export async function readEvents(
  log: SecurityLog,
  tokens: ReadonlyArray<{ sub: string; jti: string | null }>,
): Promise<EventMemory> {
  const [own, global] = await Promise.all([log.findNaming(tokens), log.findGlobal()]);
  return new EventMemory([...own, ...global]);
}

/** Events of the security log by what they name, so that what they say of a token costs a few look-ups however many there are. */
export class EventMemory {
  #tokens = new RenewedNames();
  /** The latest `issuedBefore` by subject. */
  readonly #subjects = new Map<string, number>();
  readonly #kids = new Map<string, number>();
  readonly #compromisedKids = new Set<string>();
  readonly #users = new Map<string, UserChange>();
  #all = NEVER;
  #revision = 0;

  constructor(events: Iterable<SecurityEvent> = []) {
    for (const event of events) this.add(event);
  }

  /** Another number whenever something was added that was not known. */
  get revision(): number {
    return this.#revision;
  }

  /**
   * An empty memory to take the place of this one, which goes on meanwhile. The names of tokens, of which there may be very
   * many, are there once for both: {@link forgetOthers} ends that.
   */
  renewed(): EventMemory {
    const memory = new EventMemory();
    memory.#tokens = this.#tokens;
    this.#tokens.renew();
    return memory;
  }

  /** Forgets the tokens that were added to neither since {@link renewed}. In the meantime nothing may be renewed again. */
  forgetOthers(): Promise<void> {
    return this.#tokens.forgetOthers();
  }

  /** To add an event again changes nothing. */
  add(event: SecurityEvent): void {
    if (this.#note(event)) this.#revision += 1;
  }

  /** Returns whether an event ends this token. */
  covers({ sub, jti, kid, iat }: { sub: string; jti: string; kid: string; iat: number }): boolean {
    return (
      iat <= this.coveredUntil({ sub, kid }) || this.isCompromised(kid) || this.#tokens.has(nameOf(sub, jti))
    );
  }

  /** Returns the latest `iat` of a token of `sub` under `kid` that a revocation covers; -1 if none does. */
  coveredUntil({ sub, kid }: { sub: string; kid: string }): number {
    return Math.max(this.#all, this.#subjects.get(sub) ?? NEVER, this.#kids.get(kid) ?? NEVER);
  }

  isCompromised(kid: string): boolean {
    return this.#compromisedKids.has(kid);
  }

  changeOf(sub: string): UserChange | null {
    return this.#users.get(sub) ?? null;
  }

  /** @returns whether it says anything new */
  #note({ type, sub, jti, kid, issuedBefore, userVersion }: SecurityEvent): boolean {
    const until = issuedBefore ?? NEVER;
    switch (type) {
      case 'token_revoked':
        return this.#tokens.add(nameOf(sub ?? '', jti ?? ''));
      case 'subject_revoked':
        return raise(this.#subjects, sub ?? '', until);
      case 'kid_revoked':
        return raise(this.#kids, kid ?? '', until);
      case 'all_revoked': {
        const isLater = until > this.#all;
        this.#all = Math.max(this.#all, until);
        return isLater;
      }
      case 'key_compromised':
        return add(this.#compromisedKids, kid ?? '');
      case 'user_disabled':
      case 'user_enabled':
      case 'user_removed': {
        const version = userVersion ?? 0;
        if (version <= (this.#users.get(sub ?? '')?.version ?? -1)) return false;
        this.#users.set(sub ?? '', { type, version });
        return true;
      }
    }
  }
}

const PORTION = 10_000;

/** Names, each with the round in which it was last added. */
class RenewedNames {
  readonly #rounds = new Map<string, number>();
  #round = 0;

  has(name: string): boolean {
    return this.#rounds.has(name);
  }

  add(name: string): boolean {
    const isNew = !this.#rounds.has(name);
    this.#rounds.set(name, this.#round);
    return isNew;
  }

  renew(): void {
    this.#round += 1;
  }

  /** In portions: to walk a million names takes tens of ms, in which nobody else would have a turn. */
  async forgetOthers(): Promise<void> {
    let walked = 0;
    for (const [name, round] of this.#rounds) {
      if (round !== this.#round) this.#rounds.delete(name);
      walked += 1;
      if (walked % PORTION === 0) await setImmediate();
    }
  }
}

/** Before any `iat`. */
const NEVER = -1;

/** No subject holds a line feed. */
function nameOf(sub: string, jti: string): string {
  return `${sub}\n${jti}`;
}

function add(set: Set<string>, name: string): boolean {
  if (set.has(name)) return false;
  set.add(name);
  return true;
}

function raise(latest: Map<string, number>, name: string, value: number): boolean {
  if (value <= (latest.get(name) ?? NEVER)) return false;
  latest.set(name, value);
  return true;
}
