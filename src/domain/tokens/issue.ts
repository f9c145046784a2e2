import type { KeyObject } from 'node:crypto';
import { AuditWriter } from '../audit-log/audit-writer.js';
import { encodeBase64url } from '../jose/jws.js';
import { findActiveKey, noActiveKey } from '../keys/find-key.js';
import type { SigningAlgorithm } from '../model/signing-key.js';
import { newSubjectFault, parseNewSubject } from '../model/subject.js';
import type { Database, EntryStore, TokenStatusReader, User, UserDirectory } from '../ports/index.js';
import type { DatabaseGuard } from '../recovery/database-guard.js';
import { registerMany } from '../registry/register-many.js';
import { removeNamedEntries } from '../registry/remove-named-entries.js';
import { knownStatus } from '../security-log/cached-user-status.js';
import { RevocationIndex, readEvents } from '../security-log/revocation-index.js';
import { JwtctlError } from '../shared/errors.js';
import { ActiveSigner, type Signer, type SignerPorts } from './active-signer.js';
import type { Claims } from './check-claims.js';
import type { IssuedToken } from './issued-token.js';
import {
  assertReadable,
  assertUsable,
  claimsSet,
  type IssuerPolicy,
  type TokenRequest,
} from './token-request.js';

/** A revocation further in the future is an error, because clocks do not differ by more. */
const LONGEST_WAIT_SECONDS = 10;
const SIGNER_ATTEMPTS = 5;

export interface IssuerPorts extends SignerPorts {
  database: Pick<Database, 'keys' | 'securityLog' | 'transaction'>;
  registry: EntryStore & TokenStatusReader;
  users: UserDirectory;
  guard: Pick<DatabaseGuard, 'assertCurrent'>;
  actor: string;
  sign(alg: SigningAlgorithm, key: KeyObject, inputs: readonly string[]): Promise<string[]>;
  /** Adds users for unknown subjects. Without it, their tokens are refused. */
  addUsers?: ((subs: readonly string[]) => Promise<unknown>) | undefined;
}

export interface PlannedToken {
  kid: string;
  payload: Claims;
}

/** Signs and registers tokens. Several calls may run at the same time. */
export class Issuer {
  readonly #ports: IssuerPorts;
  readonly #policy: IssuerPolicy;
  readonly #signer: ActiveSigner;
  readonly #audit: AuditWriter;

  constructor(ports: IssuerPorts, policy: IssuerPolicy) {
    this.#ports = ports;
    this.#policy = policy;
    this.#signer = new ActiveSigner(ports, policy.maxTtlSeconds);
    this.#audit = new AuditWriter(ports.database);
  }

  /** @throws JwtctlError (usage) for an invalid request */
  validate(request: TokenRequest): void {
    assertUsable(request, this.#policy);
  }

  async open(): Promise<void> {
    await this.#signer.current();
  }

  /**
   * Writes an audit row. If that fails, no token is returned.
   * @throws JwtctlError `ERR_NO_ACTIVE_KEY`, `ERR_USER_DISABLED` (state), `ERR_USER_UNKNOWN` (not_found)
   */
  async issue(request: TokenRequest): Promise<IssuedToken> {
    const issued = onlyOutcome(await this.issueMany([request]));
    const target = `${issued.sub} ${issued.jti}`;
    const row = { actor: this.#ports.actor, action: 'token.issue', target, outcome: 'done', reason: null };
    await this.#audit.append({ ...row, at: issued.iat });
    return issued;
  }

  /**
   * Returns a token or an error for each request. Writes no audit row: a bulk command has one for all.
   * @throws JwtctlError `ERR_NO_ACTIVE_KEY` (state); of stores, when some tokens may be registered
   */
  async issueMany(requests: readonly TokenRequest[]): Promise<Array<IssuedToken | JwtctlError>> {
    const outcomes: Outcomes<IssuedToken> = [];
    let drafts = this.#usableDrafts(requests, outcomes);
    const addable = subjectsOf(drafts).filter((sub) => newSubjectFault(sub) === null);
    if (addable.length > 0) await this.#ports.addUsers?.(addable);
    for (let attempt = 1; drafts.length > 0; attempt++) {
      const { signer, now, ready } = await this.#readyToSign(drafts, outcomes);
      // Read after the wait: a user may be removed and added again during it.
      const users = await this.#ports.users.findMany(subjectsOf(ready));
      const signed = await this.#sign(signer, ready, users, now, outcomes);
      if (signed.length === 0) break;
      const registered = await this.#register(signer, signed, now, outcomes);
      // Checked again, because `keys compromise` removes only entries that exist by then.
      const isCompromised = await this.#isCompromised(signer).catch(async (error) => {
        await this.#remove(signer, registered, now).catch(() => {});
        throw error;
      });
      if (!isCompromised) {
        for (const { index, token, claims } of registered) {
          const { jti, sub, aud, iat, exp } = claims;
          outcomes[index] = { token, jti, kid: signer.key.kid, sub, aud, iat, exp };
        }
        break;
      }
      await this.#remove(signer, registered, now);
      if (attempt === SIGNER_ATTEMPTS) throw noActiveKey();
      drafts = registered;
    }
    return outcomes;
  }

  async plan(request: TokenRequest): Promise<PlannedToken> {
    return onlyOutcome(await this.planMany([request]));
  }

  async planMany(requests: readonly TokenRequest[]): Promise<Array<PlannedToken | JwtctlError>> {
    const { database, users, addUsers, clock } = this.#ports;
    const outcomes: Outcomes<PlannedToken> = [];
    const drafts = this.#usableDrafts(requests, outcomes);
    if (drafts.length === 0) return outcomes;
    const { kid } = await findActiveKey(database);
    const found = await users.findMany(subjectsOf(drafts));
    forEachDraft(drafts, outcomes, ({ index, request }) => {
      const user = found.get(request.sub);
      if (user !== undefined || addUsers === undefined) requireEnabled(user, request.sub);
      else parseNewSubject(request.sub);
      outcomes[index] = { kid, payload: claimsSet(request, this.#policy, clock.now()) };
    });
    return outcomes;
  }

  #usableDrafts(requests: readonly TokenRequest[], outcomes: Outcomes<unknown>): Draft[] {
    const drafts = requests.map((request, index) => ({ index, request }));
    return forEachDraft(drafts, outcomes, (draft) => {
      assertUsable(draft.request, this.#policy);
      return draft;
    });
  }

  /** Waits until no revocation covers a new token of these drafts. Drafts that would wait too long fail. */
  async #readyToSign(
    drafts: readonly Draft[],
    outcomes: Outcomes<unknown>,
  ): Promise<{ signer: Signer; now: number; ready: readonly Draft[] }> {
    const { clock, guard } = this.#ports;
    let ready = drafts;
    let waitedSeconds = 0;
    for (let attempt = 1; ; attempt++) {
      const signer = await this.#signer.current();
      const { kid } = signer.key;
      const [revision, events] = await Promise.all([
        guard.assertCurrent(),
        this.#findEvents(subjectsOf(ready), kid),
      ]);
      const now = clock.now();
      const isOutdated = signer.revision < revision || !ActiveSigner.maySign(signer, now);
      if (isOutdated || events.isCompromised(kid)) {
        this.#signer.drop(signer);
        if (attempt >= SIGNER_ATTEMPTS) throw noActiveKey();
        continue;
      }
      // A revocation covers tokens issued in the same second.
      const freeFrom = ({ request: { sub } }: Draft) => events.coveredUntil({ sub, kid }) + 1;
      const refuseAfter = (latest: number) => {
        ready = forEachDraft(ready, outcomes, (draft) => {
          if (freeFrom(draft) > latest)
            throw revokedAhead(draft.request.sub, freeFrom(draft) - 1 - clock.now());
          return draft;
        });
      };
      refuseAfter(now + LONGEST_WAIT_SECONDS + 1 - waitedSeconds);
      const free = ready.reduce((latest, draft) => Math.max(latest, freeFrom(draft)), now);
      if (free <= now) return { signer, now, ready };
      waitedSeconds += free - now;
      await clock.until(free);
      refuseAfter(clock.now());
    }
  }

  /** Reads one subject's events in one query, because two queries would need a second connection. */
  async #findEvents(subs: readonly string[], kid: string): Promise<RevocationIndex> {
    const { securityLog } = this.#ports.database;
    const tokens = subs.map((sub) => ({ sub, jti: null }));
    const [token] = tokens;
    if (token === undefined || tokens.length > 1) return readEvents(securityLog, tokens);
    return new RevocationIndex(await securityLog.findConcerning({ ...token, kid }));
  }

  async #sign(
    { key, privateKey }: Signer,
    drafts: readonly Draft[],
    users: Map<string, User>,
    now: number,
    outcomes: Outcomes<unknown>,
  ): Promise<SignedDraft[]> {
    const header = encodeBase64url(JSON.stringify({ alg: key.alg, typ: 'JWT', kid: key.kid }));
    const unsigned = forEachDraft(drafts, outcomes, ({ index, request }) => {
      const known = users.get(request.sub);
      if (known === undefined && this.#ports.addUsers !== undefined) parseNewSubject(request.sub);
      const user = requireEnabled(known, request.sub);
      const claims = claimsSet(request, this.#policy, now);
      return { index, request, user, claims, input: `${header}.${encodeBase64url(JSON.stringify(claims))}` };
    });
    const inputs = unsigned.map(({ input }) => input);
    const signatures = await this.#ports.sign(key.alg, privateKey, inputs);
    return forEachDraft(unsigned, outcomes, ({ input, ...draft }, position) => {
      const token = `${input}.${signatures[position]}`;
      assertReadable(token);
      return { ...draft, token };
    });
  }

  async #register(
    { key }: Signer,
    drafts: readonly SignedDraft[],
    now: number,
    outcomes: Outcomes<unknown>,
  ): Promise<SignedDraft[]> {
    const { statusTtlSeconds, maxPerSubject } = this.#policy;
    const registrations = drafts.map(({ request: { label }, user, claims: { sub, jti, iat, exp } }) => ({
      ...{ sub, entry: { jti, keyId: key.id, iat, exp }, now, label, maxPerSubject },
      user: knownStatus(user, now, statusTtlSeconds),
    }));
    const errors = await registerMany(this.#ports.registry, registrations);
    return forEachDraft(drafts, outcomes, (draft, position) => {
      const error = errors[position] ?? null;
      if (error !== null) throw error;
      return draft;
    });
  }

  async #isCompromised({ key }: Signer): Promise<boolean> {
    const events = await this.#ports.database.securityLog.findGlobal();
    return new RevocationIndex(events).isCompromised(key.kid);
  }

  async #remove({ key }: Signer, drafts: readonly SignedDraft[], now: number): Promise<void> {
    const named = drafts.map(({ claims: { sub, jti, iat } }) => ({
      sub,
      entry: { jti, keyId: key.id, iat },
    }));
    await removeNamedEntries(this.#ports.registry, named, now);
  }
}

interface Draft {
  index: number;
  request: TokenRequest;
}

interface SignedDraft extends Draft {
  user: User;
  claims: Claims;
  token: string;
}

type Outcomes<T> = Array<T | JwtctlError>;

function forEachDraft<D extends Draft, T>(
  drafts: readonly D[],
  outcomes: Outcomes<unknown>,
  work: (draft: D, position: number) => T,
): T[] {
  const results: T[] = [];
  for (const [position, draft] of drafts.entries()) {
    try {
      results.push(work(draft, position));
    } catch (error) {
      if (!(error instanceof JwtctlError)) throw error;
      outcomes[draft.index] = error;
    }
  }
  return results;
}

function onlyOutcome<T>([outcome]: Outcomes<T>): T {
  if (outcome instanceof JwtctlError) throw outcome;
  return outcome as T;
}

function subjectsOf(drafts: readonly Draft[]): string[] {
  return [...new Set(drafts.map(({ request }) => request.sub))];
}

function requireEnabled(user: User | undefined, sub: string): User {
  if (user === undefined) {
    throw new JwtctlError('ERR_USER_UNKNOWN', `There is no user ${JSON.stringify(sub)}.`);
  }
  if (user.status === 'enabled') return user;
  throw new JwtctlError('ERR_USER_DISABLED', `The user ${JSON.stringify(sub)} is disabled.`);
}

function revokedAhead(sub: string, seconds: number): JwtctlError {
  const when = Number.isFinite(seconds) ? `in the next ${seconds} s` : 'at any time';
  return new JwtctlError(
    'ERR_REVOCATION_IN_FUTURE',
    `A revocation covers tokens of ${JSON.stringify(sub)} that are issued ${when}.`,
  );
}
