import { MAX_TOKEN_CHARACTERS } from '../jose/jws.js';
import { findActiveKey, noActiveKey } from '../keys/find-key.js';
import type { Registration, SecurityEvent, User } from '../ports/index.js';
import { entriesBySubject } from '../registry/group-entries.js';
import { registerMany } from '../registry/register-many.js';
import { removeEntriesInBatches } from '../registry/remove-entries.js';
import { knownStatus } from '../security-log/cached-user-status.js';
import { JwtctlError } from '../shared/errors.js';
import { HeldSigner, type Signer } from './active-signer.js';
import type { Claims } from './claims.js';
import {
  assertUsable,
  claimsSet,
  compromises,
  enabledUser,
  encodedClaims,
  encodedHeader,
  firstUncovered,
  type IssuerPolicy,
  type IssuerPorts,
  LONGEST_WAIT_SECONDS,
  revokedAhead,
  SIGNER_ATTEMPTS,
  type TokenRequest,
  tooLong,
} from './issue.js';
import type { IssuedToken } from './issued-token.js';
import type { SigningPool } from './signing-pool.js';

export interface BulkIssuerPorts extends IssuerPorts {
  signing: SigningPool;
  /** Adds those of the subjects that are no users yet; null where no user is made. */
  addUsers: ((subs: readonly string[]) => Promise<unknown>) | null;
}

/** One request of a batch, and its place in it. */
interface Draft {
  place: number;
  request: TokenRequest;
}

interface ClaimedDraft extends Draft {
  user: User;
  claims: Claims;
}

interface SignedDraft extends ClaimedDraft {
  token: string;
}

type Outcomes = Array<IssuedToken | JwtctlError>;

/**
 * Issues batches of tokens by the rules of a single one ({@link Issuer}), with a few questions to each store for all of
 * them. Several batches may be under way at once.
 */
export class BulkIssuer {
  readonly #ports: BulkIssuerPorts;
  readonly #policy: IssuerPolicy;
  readonly #signer: HeldSigner;

  constructor(ports: BulkIssuerPorts, policy: IssuerPolicy) {
    this.#ports = ports;
    this.#policy = policy;
    this.#signer = new HeldSigner(ports, policy.maxTtlSeconds);
  }

  /** @throws JwtctlError (usage) for a request that can never be issued; asks no store */
  validate(request: TokenRequest): void {
    assertUsable(request, this.#policy);
  }

  /** Opens the active key, so that a store without one is told before anything is read. @throws as {@link Issuer.issue} */
  async open(): Promise<void> {
    await this.#signer.current();
  }

  /**
   * @returns for each request, in their order, a token that is signed and registered, or why there is none
   * @throws JwtctlError `ERR_NO_ACTIVE_KEY` (state) and what the stores and the sealer throw: then no token is handed out,
   * and what may have been registered of them is known to nobody
   */
  async issue(requests: readonly TokenRequest[]): Promise<Outcomes> {
    const outcomes: Outcomes = [];
    let drafts = this.#drafts(requests, outcomes);
    if (this.#ports.addUsers !== null && drafts.length > 0) await this.#ports.addUsers(subjectsOf(drafts));
    for (let attempt = 1; drafts.length > 0; attempt++) {
      const { signer, now, ready } = await this.#readyToSign(drafts, outcomes);
      // The users come last: of one who was removed meanwhile the wait would otherwise make a token that a later user of the name inherits.
      const users = await this.#ports.users.findMany(subjectsOf(ready));
      const signed = await this.#sign(signer, this.#claims(ready, users, now, outcomes), outcomes);
      const registered = await this.#register(signer, signed, now, outcomes);
      // Asked again now that the entries are there: whoever compromises the key from here on finds and removes them.
      const isCompromised = await this.#isCompromised(signer).catch(async (error) => {
        // These tokens are not handed out. An entry that cannot be removed now will expire.
        await this.#remove(signer, registered, now).catch(() => {});
        throw error;
      });
      if (!isCompromised) return deliver(registered, signer, outcomes);
      await this.#remove(signer, registered, now);
      if (attempt === SIGNER_ATTEMPTS) throw noActiveKey();
      drafts = registered;
    }
    return outcomes;
  }

  /** What {@link issue} would sign. Nothing is signed, registered or opened. */
  async plan(
    requests: readonly TokenRequest[],
  ): Promise<Array<{ kid: string; payload: Claims } | JwtctlError>> {
    const outcomes: Array<{ kid: string; payload: Claims } | JwtctlError> = [];
    const drafts = this.#drafts(requests, outcomes);
    const { kid } = await findActiveKey(this.#ports.database);
    const users = await this.#ports.users.findMany(subjectsOf(drafts));
    for (const { place, request } of drafts) {
      outcomes[place] = orError(() => {
        const user = users.get(request.sub) ?? null;
        if (user !== null || this.#ports.addUsers === null) enabledUser(user, request.sub);
        return { kid, payload: claimsSet(request, this.#policy, this.#ports.clock.now()) };
      });
    }
    return outcomes;
  }

  #drafts(requests: readonly TokenRequest[], outcomes: Array<unknown>): Draft[] {
    const drafts = requests.map((request, place) => ({ place, request }));
    return drafts.filter(({ place, request }) => {
      const error = orError(() => assertUsable(request, this.#policy));
      if (error !== undefined) outcomes[place] = error;
      return error === undefined;
    });
  }

  /**
   * A key that is not compromised, and a moment at which no revocation covers any of the drafts that are ready, by events
   * that were read after every wait.
   */
  async #readyToSign(
    drafts: readonly Draft[],
    outcomes: Outcomes,
  ): Promise<{ signer: Signer; now: number; ready: readonly Draft[] }> {
    const { clock, database, guard } = this.#ports;
    const begunAt = clock.now();
    let ready = drafts;
    for (let attempt = 1; ; attempt++) {
      const signer = await this.#signer.current();
      const { kid } = signer.key;
      const [revision, ofSubjects, wide] = await Promise.all([
        guard.assertCurrent(),
        database.securityLog.findNaming(subjectsOf(ready).map((sub) => ({ sub, jti: null }))),
        database.securityLog.findGlobal(),
      ]);
      if (signer.revision < revision || wide.some((event) => compromises(event, kid))) {
        this.#signer.letGo(signer);
        if (attempt >= SIGNER_ATTEMPTS) throw noActiveKey();
        continue;
      }
      const now = clock.now();
      const freeFrom = firstUncoveredOfEach(ofSubjects, wide, kid, now);
      const refuseFrom = (moment: number) => {
        ready = ready.filter(({ place, request: { sub } }) => {
          const free = freeFrom(sub);
          if (free < moment) return true;
          outcomes[place] = revokedAhead(sub, free - 1 - clock.now());
          return false;
        });
      };
      refuseFrom(begunAt + LONGEST_WAIT_SECONDS + 2);
      const free = ready.reduce((latest, { request: { sub } }) => Math.max(latest, freeFrom(sub)), now);
      if (free <= now) return { signer, now, ready };
      // A token of the same second as a revocation would be covered by it. The batch waits for the last of its tokens.
      await clock.until(free);
      refuseFrom(clock.now() + 1);
    }
  }

  #claims(
    drafts: readonly Draft[],
    users: Map<string, User>,
    now: number,
    outcomes: Outcomes,
  ): ClaimedDraft[] {
    const claimed: ClaimedDraft[] = [];
    for (const { place, request } of drafts) {
      const user = orError(() => enabledUser(users.get(request.sub) ?? null, request.sub));
      if (user instanceof JwtctlError) outcomes[place] = user;
      else claimed.push({ place, request, user, claims: claimsSet(request, this.#policy, now) });
    }
    return claimed;
  }

  async #sign(
    { key, privateKey }: Signer,
    drafts: readonly ClaimedDraft[],
    outcomes: Outcomes,
  ): Promise<SignedDraft[]> {
    const header = encodedHeader(key);
    const inputs = drafts.map(({ claims }) => `${header}.${encodedClaims(claims)}`);
    const signatures = await this.#ports.signing.sign(key.alg, privateKey, inputs);
    const signed: SignedDraft[] = [];
    for (const [index, { place, request, user, claims }] of drafts.entries()) {
      const token = `${inputs[index]}.${signatures[index]}`;
      if (token.length > MAX_TOKEN_CHARACTERS) outcomes[place] = tooLong(token.length);
      else signed.push({ place, request, user, claims, token });
    }
    return signed;
  }

  async #register(
    { key }: Signer,
    drafts: readonly SignedDraft[],
    now: number,
    outcomes: Outcomes,
  ): Promise<SignedDraft[]> {
    const { statusTtlSeconds, maxPerSubject } = this.#policy;
    const registrations = drafts.map(({ request, user, claims: { sub, jti, iat, exp } }) => {
      const entry = { jti, keyId: key.id, iat, exp };
      const registration: Registration = { sub, entry, now, user: knownStatus(user, now, statusTtlSeconds) };
      if (request.label !== undefined) registration.label = request.label;
      if (maxPerSubject !== undefined) registration.maxPerSubject = maxPerSubject;
      return registration;
    });
    const errors = await registerMany(this.#ports.registry, registrations);
    return drafts.filter(({ place }, index) => {
      const error = errors[index] ?? null;
      if (error !== null) outcomes[place] = error;
      return error === null;
    });
  }

  async #isCompromised({ key }: Signer): Promise<boolean> {
    const wide = await this.#ports.database.securityLog.findGlobal();
    return wide.some((event) => compromises(event, key.kid));
  }

  async #remove({ key }: Signer, drafts: readonly SignedDraft[], now: number): Promise<void> {
    const named = drafts.map(({ claims: { sub, jti, iat } }) => ({
      sub,
      entry: { jti, keyId: key.id, iat },
    }));
    // That nobody takes their tokens does not rest on it: the security log has the key.
    if (named.length > 0) await removeEntriesInBatches(this.#ports.registry, entriesBySubject(named), now);
  }
}

function deliver(drafts: readonly SignedDraft[], { key }: Signer, outcomes: Outcomes): Outcomes {
  for (const { place, token, claims } of drafts) {
    const { jti, sub, aud, iat, exp } = claims;
    outcomes[place] = { token, jti, kid: key.kid, sub, aud, iat, exp };
  }
  return outcomes;
}

/** From when on a token of each subject is covered by none of the events. */
function firstUncoveredOfEach(
  ofSubjects: readonly SecurityEvent[],
  wide: readonly SecurityEvent[],
  kid: string,
  now: number,
): (sub: string) => number {
  const ofAll = firstUncovered(wide, { sub: '', kid }, now);
  const bySubject = new Map<string, number>();
  for (const event of ofSubjects) {
    const sub = event.sub ?? '';
    bySubject.set(sub, firstUncovered([event], { sub, kid }, bySubject.get(sub) ?? ofAll));
  }
  return (sub) => bySubject.get(sub) ?? ofAll;
}

function subjectsOf(drafts: readonly Draft[]): string[] {
  return [...new Set(drafts.map(({ request }) => request.sub))];
}

/** What is wrong with one request is its outcome; anything else ends the batch. */
function orError<T>(make: () => T): T | JwtctlError {
  try {
    return make();
  } catch (error) {
    if (error instanceof JwtctlError) return error;
    throw error;
  }
}
