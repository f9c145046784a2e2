import { setImmediate } from 'node:timers/promises';
import { familyOf, isNamedBy } from '../model/family.js';
import type { SecurityEvent, SecurityEventType, SecurityLog } from '../ports/index.js';

export interface UserChange {
  type: Extract<SecurityEvent['type'], 'user_disabled' | 'user_enabled' | 'user_removed' | 'user_refreshed'>;
  version: number;
}

/** A null `jti` is for a token not yet issued. */
export async function readEvents(
  log: SecurityLog,
  tokens: ReadonlyArray<{ sub: string; jti: string | null }>,
): Promise<RevocationIndex> {
  const [own, global] = await Promise.all([log.findNaming(tokens), log.findGlobal()]);
  return new RevocationIndex([...own, ...global]);
}

/** Returns false for a row that jwtctl did not write. A newer jwtctl may write other types. */
export function isInterpretable(event: SecurityEvent): boolean {
  const { type, except = null } = event;
  if (!Object.hasOwn(NEEDED, type) || !NEEDED[type].every((name) => IS_USABLE[name](event[name])))
    return false;
  return except === null || (type === 'subject_revoked' && isName(except));
}

const NEEDED: Record<SecurityEventType, ReadonlyArray<keyof typeof IS_USABLE>> = {
  token_revoked: ['sub', 'jti'],
  family_revoked: ['sub', 'jti'],
  subject_revoked: ['sub', 'issuedBefore'],
  kid_revoked: ['kid', 'issuedBefore'],
  all_revoked: ['issuedBefore'],
  key_compromised: ['kid'],
  user_disabled: ['sub', 'userVersion'],
  user_enabled: ['sub', 'userVersion'],
  user_removed: ['sub', 'userVersion'],
  user_refreshed: ['sub'],
};

const isName = (value: unknown) => typeof value === 'string' && value !== '';
const isCount = (value: unknown) => Number.isSafeInteger(value) && (value as number) >= 0;
const IS_USABLE = { sub: isName, jti: isName, kid: isName, issuedBefore: isCount, userVersion: isCount };

/** What identifies a token, and when it was issued with which key. */
interface NamedIssue {
  sub: string;
  jti: string;
  kid: string;
  iat: number;
}

/** Indexes events of the security log, so that a check of a token takes a few lookups. */
export class RevocationIndex {
  #tokens = new RenewedNames();
  /** The latest `issuedBefore` of each subject. */
  readonly #subjects = new Map<string, number>();
  readonly #others = new Exceptions();
  readonly #kids = new Map<string, number>();
  /** From events that name a token without its subject. */
  readonly #jtis = new Set<string>();
  readonly #compromisedKids = new Set<string>();
  readonly #users = new Map<string, UserChange>();
  /** The id of each subject's latest `user_refreshed`. */
  readonly #refreshes = new Map<string, number>();
  #all = NEVER;
  #revision = 0;

  constructor(events: Iterable<SecurityEvent> = []) {
    for (const event of events) this.add(event);
  }

  /** Changes with each new event. */
  get revision(): number {
    return this.#revision;
  }

  /**
   * Returns an empty index to replace this one, which stays usable. Both share the token names, of which
   * there may be millions, until {@link forgetOthers}.
   */
  renewed(): RevocationIndex {
    const index = new RevocationIndex();
    index.#tokens = this.#tokens;
    this.#tokens.renew();
    return index;
  }

  /** Forgets the tokens added to neither index. Do not call `renewed` again until this ends. */
  forgetOthers(): Promise<void> {
    return this.#tokens.forgetOthers();
  }

  add(event: SecurityEvent): void {
    const isNew = isInterpretable(event) ? this.#insert(event) : this.#refuseNamed(event);
    if (isNew) this.#revision += 1;
  }

  covers(token: NamedIssue): boolean {
    return this.#coversIssue(token) || this.names(token.sub, token.jti);
  }

  #coversIssue({ sub, jti, kid, iat }: NamedIssue): boolean {
    // Covered too if the iat is no number.
    return !(iat > this.coveredUntil({ sub, jti, kid })) || this.isCompromised(kid);
  }

  /** Whether an event names this one token, or its family. */
  names(sub: string, jti: string): boolean {
    return this.#tokens.has(nameOf(sub, jti)) || this.#jtis.has(jti) || this.#namesFamilyOf(sub, jti);
  }

  #namesFamilyOf(sub: string, jti: string): boolean {
    const family = familyOf(jti);
    return family !== null && (this.#tokens.has(familyName(sub, family)) || this.#jtis.has(family));
  }

  /**
   * Returns the latest `iat` that a revocation covers; -1 if there is none, Infinity if it covers any. Without `jti`,
   * it is for a token not yet issued.
   */
  coveredUntil({ sub, jti = null, kid }: { sub: string; jti?: string | null; kid: string }): number {
    return Math.max(this.#subjectCoveredUntil(sub, jti), this.#kids.get(kid) ?? NEVER);
  }

  /**
   * Whether a session has ended, given the last access token of its family. What ends the subject's tokens
   * ends a session that began before, however often it was refreshed since. What ends its last access token alone
   * leaves the session.
   */
  endsSession({ startedAt, ...last }: { startedAt: number } & NamedIssue): boolean {
    const isNamed = this.#namesFamilyOf(last.sub, last.jti);
    return isNamed || this.#coversIssue(last) || !(startedAt > this.#subjectCoveredUntil(last.sub, last.jti));
  }

  isCompromised(kid: string): boolean {
    return this.#compromisedKids.has(kid);
  }

  changeOf(sub: string): UserChange | null {
    return this.#users.get(sub) ?? null;
  }

  /** Returns the id of the last event after which the user must be read again; 0 if there is none. */
  refreshOf(sub: string): number {
    return this.#refreshes.get(sub) ?? 0;
  }

  #subjectCoveredUntil(sub: string, jti: string | null): number {
    return Math.max(this.#all, this.#subjects.get(sub) ?? NEVER, this.#others.until(sub, jti));
  }

  #insert({ id, type, sub, jti, kid, issuedBefore, except, userVersion }: SecurityEvent): boolean {
    const until = issuedBefore ?? NEVER;
    switch (type) {
      case 'token_revoked':
        return this.#tokens.add(nameOf(sub ?? '', jti ?? ''));
      case 'family_revoked':
        return this.#tokens.add(familyName(sub ?? '', jti ?? ''));
      case 'subject_revoked':
        return except == null
          ? raise(this.#subjects, sub ?? '', until)
          : this.#others.add(sub ?? '', until, except);
      case 'kid_revoked':
        return raise(this.#kids, kid ?? '', until);
      case 'all_revoked':
        return this.#raiseAll(until);
      case 'key_compromised':
        return add(this.#compromisedKids, kid ?? '');
      case 'user_refreshed':
        return raise(this.#refreshes, sub ?? '', id);
      case 'user_disabled':
      case 'user_enabled':
      case 'user_removed': {
        const version = userVersion ?? 0;
        if (version <= (this.#users.get(sub ?? '')?.version ?? -1)) return false;
        this.#users.set(sub ?? '', { type, version });
        return true;
      }
      default:
        return type satisfies never;
    }
  }

  #raiseAll(until: number): boolean {
    if (until <= this.#all) return false;
    this.#all = until;
    return true;
  }

  /** Refuses too much rather than too little: the token that the event names, or all of its subject and key. */
  #refuseNamed({ type, sub, jti, kid, at }: SecurityEvent): boolean {
    if (type === 'all_revoked') return this.#raiseAll(isCount(at) ? at : Number.POSITIVE_INFINITY);
    if (jti) return sub ? this.#addBoth(sub, jti) : add(this.#jtis, jti);
    const isNewSubject = !!sub && raise(this.#subjects, sub, Number.POSITIVE_INFINITY);
    const isNewKid = !!kid && add(this.#compromisedKids, kid);
    return isNewSubject || isNewKid;
  }

  /** The jti may be a family, or a token of one. */
  #addBoth(sub: string, jti: string): boolean {
    const isNewFamily = this.#tokens.add(familyName(sub, familyOf(jti) ?? jti));
    return this.#tokens.add(nameOf(sub, jti)) || isNewFamily;
  }
}

/** The events of subjects that leave one token or session each. */
class Exceptions {
  /** The latest event of each subject, and the latest that leaves another one: a token is covered by one of the two. */
  readonly #latest = new Map<string, Array<{ until: number; except: string }>>();

  until(sub: string, jti: string | null): number {
    const covering = this.#latest.get(sub)?.find(({ except }) => jti === null || !isNamedBy(jti, except));
    return covering?.until ?? NEVER;
  }

  add(sub: string, until: number, except: string): boolean {
    const known = this.#latest.get(sub) ?? [];
    const own = known.find((one) => one.except === except);
    if (until <= (own?.until ?? NEVER)) return false;
    const all = [...known.filter((one) => one !== own), { until, except }];
    this.#latest.set(sub, all.sort((a, b) => b.until - a.until).slice(0, 2));
    return true;
  }
}

const PORTION = 10_000;

/** Names, each with the round when it was last added. */
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

  /** Works in portions, because walking a million names takes tens of milliseconds. */
  async forgetOthers(): Promise<void> {
    let walked = 0;
    for (const [name, round] of this.#rounds) {
      if (round !== this.#round) this.#rounds.delete(name);
      walked += 1;
      if (walked % PORTION === 0) await setImmediate();
    }
  }
}

/** Lower than any `iat`. */
const NEVER = -1;

/** A subject cannot contain a line feed. */
function nameOf(sub: string, jti: string): string {
  return `${sub}\n${jti}`;
}

/** Differs from the name of every token, because a `jti` cannot contain a line feed either. */
function familyName(sub: string, family: string): string {
  return nameOf(sub, `${family}\n`);
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
