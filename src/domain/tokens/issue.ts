import type { KeyObject } from 'node:crypto';
import { AuditRowBatcher } from '../audit-log/audit-row-batcher.js';
import { encodeBase64url } from '../jose/jws.js';
import { findActiveKey, noActiveKey } from '../keys/find-key.js';
import { familyJti } from '../model/family.js';
import { newRandomId } from '../model/random-id.js';
import type { SigningAlgorithm } from '../model/signing-key.js';
import { newSubjectFault, parseNewSubject } from '../model/subject.js';
import type {
  Database,
  EntryStore,
  FamilyOutcome,
  FamilyStep,
  FamilyStore,
  RefreshTokenSealer,
  Registration,
  TokenStatusReader,
  User,
  UserDirectory,
} from '../ports/index.js';
import type { DatabaseGuard } from '../recovery/database-guard.js';
import { advanceMany } from '../registry/advance-many.js';
import { registerMany } from '../registry/register-many.js';
import { removeNamedEntries } from '../registry/remove-named-entries.js';
import { tokenLimit } from '../registry/token-limit.js';
import { knownStatus } from '../security-log/cached-user-status.js';
import { RevocationIndex, readEvents } from '../security-log/revocation-index.js';
import { JwtctlError, unreachable } from '../shared/errors.js';
import { ActiveSigner, type Signer, type SignerPorts } from './active-signer.js';
import type { Claims } from './check-claims.js';
import { endReusedFamily } from './end-family.js';
import {
  type Draft,
  forEachDraft,
  hasEnded,
  nextStep,
  type Outcomes,
  onlyOutcome,
  type SignedDraft,
  subjectsOf,
  tokensOf,
} from './issue-drafts.js';
import type { IssuedToken } from './issued-token.js';
import { openRefreshToken, type RefreshTokenContents, sealRefreshToken } from './refresh-token.js';
import {
  assertReadable,
  assertUsable,
  claimsSet,
  clientMissing,
  type IssuerPolicy,
  type TokenRequest,
} from './token-request.js';

/** A revocation further in the future is an error, because clocks do not differ by more. */
const LONGEST_WAIT_SECONDS = 10;
const SIGNER_ATTEMPTS = 5;

export interface IssuerPorts extends SignerPorts {
  database: Pick<Database, 'keys' | 'securityLog' | 'transaction'>;
  registry: EntryStore & FamilyStore & TokenStatusReader;
  refreshTokens: RefreshTokenSealer;
  users: UserDirectory;
  guard: Pick<DatabaseGuard, 'assertCurrent'>;
  actor: string;
  sign(alg: SigningAlgorithm, key: KeyObject, inputs: readonly string[]): Promise<string[]>;
  /** Adds users for unknown subjects. Without it, their tokens are refused. */
  addUsers?: ((subs: readonly string[]) => Promise<unknown>) | undefined;
}

export interface IssueOptions {
  /**
   * Whether to wait up to ten seconds for requests that a revocation still covers. All others wait with them.
   * Otherwise, such a request fails with `ERR_REVOCATION_IN_FUTURE`. Default: true
   */
  mayWait?: boolean;
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
  readonly #audit: AuditRowBatcher;

  constructor(ports: IssuerPorts, policy: IssuerPolicy) {
    this.#ports = ports;
    this.#policy = policy;
    this.#signer = new ActiveSigner(ports, policy.maxTtlSeconds);
    this.#audit = new AuditRowBatcher(ports.database);
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
  async issueMany(
    requests: readonly TokenRequest[],
    options: IssueOptions = {},
  ): Promise<Array<IssuedToken | JwtctlError>> {
    const outcomes: Outcomes<IssuedToken> = [];
    const drafts = this.#usableDrafts(requests, outcomes);
    const addable = subjectsOf(drafts).filter((sub) => newSubjectFault(sub) === null);
    if (addable.length > 0) await this.#ports.addUsers?.(addable);
    await this.#issueDrafts(drafts, outcomes, options);
    return outcomes;
  }

  /**
   * Replaces a refresh token and issues the next access token of its session. Within `refresh.grace`, the same
   * refresh token returns the same tokens again. Writes no audit row, because the session has one.
   * @throws JwtctlError `ERR_REFRESH_INVALID`, `ERR_REFRESH_EXPIRED`, `ERR_REFRESH_REVOKED` (refused);
   * `ERR_REFRESH_REUSED` (refused) after the grace, which ends the session; errors of {@link issue}
   */
  async refresh(use: RefreshTokenUse): Promise<IssuedToken> {
    return onlyOutcome(await this.refreshMany([use]));
  }

  /** Returns a token or an error for each. @throws as {@link issueMany} */
  async refreshMany(uses: readonly RefreshTokenUse[]): Promise<Array<IssuedToken | JwtctlError>> {
    const outcomes: Outcomes<IssuedToken> = [];
    const opened = await Promise.all(uses.map((use) => this.#open(use)));
    const drafts = opened.flatMap((draft, index) => {
      if (!(draft instanceof JwtctlError)) return [{ ...draft, index }];
      outcomes[index] = draft;
      return [];
    });
    await this.#issueDrafts(drafts, outcomes);
    return outcomes;
  }

  async #open({ refreshToken, clientId }: RefreshTokenUse): Promise<Omit<Draft, 'index'> | JwtctlError> {
    const { refreshTokens, clock } = this.#ports;
    const { maxTtlSeconds, refreshTtlSeconds } = this.#policy;
    try {
      const last = await openRefreshToken(refreshTokens, refreshToken);
      const { sub, request } = last;
      if (request.clientId !== undefined && request.clientId !== clientId) {
        throw new JwtctlError('ERR_REFRESH_INVALID', 'The refresh token belongs to another client.');
      }
      if (clock.now() >= Math.min(last.exp, last.iat + refreshTtlSeconds))
        throw new JwtctlError('ERR_REFRESH_EXPIRED', 'The refresh token has expired.');
      const ttlSeconds =
        request.ttlSeconds === undefined ? undefined : Math.min(request.ttlSeconds, maxTtlSeconds);
      return {
        request: { ...request, ...this.#clientOf(request, clientId), sub, ttlSeconds, refresh: true },
        last,
      };
    } catch (error) {
      if (!(error instanceof JwtctlError) || error.kind !== 'refused') throw error;
      return error;
    }
  }

  /** A session that began without a client gets the one that presents its refresh token, if its tokens need one. */
  #clientOf(request: Pick<TokenRequest, 'clientId'>, presenting: string | undefined) {
    if (request.clientId !== undefined || this.#policy.type !== 'at+jwt') return {};
    if (presenting === undefined) throw clientMissing();
    return { clientId: presenting };
  }

  async #issueDrafts(
    requested: readonly Draft[],
    outcomes: Outcomes<IssuedToken>,
    { mayWait = true }: IssueOptions = {},
  ): Promise<void> {
    let drafts = requested;
    for (let attempt = 1; drafts.length > 0; attempt++) {
      const { signer, now, ready } = await this.#readyToSign(drafts, outcomes, mayWait);
      // Read after the wait: a user may be removed and added again during it.
      const users = await this.#ports.users.findMany(subjectsOf(ready));
      const signed = await this.#sign(signer, ready, users, now, outcomes);
      if (signed.length === 0) break;
      const registered = await this.#register(signer, signed, now, outcomes);
      // Read again, because a command that ends tokens removes only entries that exist by then.
      const events = await this.#eventsAfter(registered).catch(async (error) => {
        await this.#remove(signer, registered, now).catch(() => {});
        throw error;
      });
      if (!events.isCompromised(signer.key.kid)) {
        const going = registered.filter(({ last }) => last !== undefined && hasEnded(last, events));
        await this.#remove(signer, going, now);
        for (const draft of registered) {
          outcomes[draft.index] = going.includes(draft)
            ? sessionEnded()
            : await this.#toIssued(signer, draft);
        }
        break;
      }
      await this.#remove(signer, registered, now);
      if (attempt === SIGNER_ATTEMPTS) throw noActiveKey();
      drafts = registered;
    }
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
      if (user !== undefined || addUsers === undefined) requireEnabled(user, request.sub, this.#ports.users);
      else parseNewSubject(request.sub);
      const jti = request.refresh === true ? familyJti(newRandomId(), 0) : undefined;
      outcomes[index] = { kid, payload: claimsSet(request, this.#policy, clock.now(), jti) };
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
    mayWait: boolean,
  ): Promise<{ signer: Signer; now: number; ready: readonly Draft[] }> {
    const { clock, guard } = this.#ports;
    let ready = drafts;
    let waitedSeconds = 0;
    for (let attempt = 1; ; attempt++) {
      const signer = await this.#signer.current();
      const { kid } = signer.key;
      const [revision, events] = await Promise.all([guard.assertCurrent(), this.#findEvents(ready, kid)]);
      const now = clock.now();
      const isOutdated = signer.revision < revision || !ActiveSigner.maySign(signer, now);
      if (isOutdated || events.isCompromised(kid)) {
        this.#signer.drop(signer);
        if (attempt >= SIGNER_ATTEMPTS) throw noActiveKey();
        continue;
      }
      ready = forEachDraft(ready, outcomes, (draft) => {
        if (draft.last !== undefined && hasEnded(draft.last, events)) throw sessionEnded();
        return draft;
      });
      // A revocation covers tokens issued in the same second.
      const freeFrom = ({ request: { sub } }: Draft) => events.coveredUntil({ sub, kid }) + 1;
      const refuseAfter = (latest: number) => {
        ready = forEachDraft(ready, outcomes, (draft) => {
          if (freeFrom(draft) > latest)
            throw revokedAhead(draft.request.sub, freeFrom(draft) - 1 - clock.now());
          return draft;
        });
      };
      refuseAfter(mayWait ? now + LONGEST_WAIT_SECONDS + 1 - waitedSeconds : now);
      const free = ready.reduce((latest, draft) => Math.max(latest, freeFrom(draft)), now);
      if (free <= now) return { signer, now, ready };
      waitedSeconds += free - now;
      await clock.until(free);
      refuseAfter(clock.now());
    }
  }

  /** Reads one subject's events in one query, because two queries would need a second connection. */
  async #findEvents(drafts: readonly Draft[], kid: string): Promise<RevocationIndex> {
    const { securityLog } = this.#ports.database;
    const tokens = tokensOf(drafts);
    const [token] = tokens;
    // A session may have another key.
    if (token === undefined || tokens.length > 1 || token.jti !== null)
      return readEvents(securityLog, tokens);
    return new RevocationIndex(await securityLog.findConcerning({ ...token, kid }));
  }

  async #sign(
    { key, privateKey }: Signer,
    drafts: readonly Draft[],
    users: Map<string, User>,
    now: number,
    outcomes: Outcomes<unknown>,
  ): Promise<SignedDraft[]> {
    const header = encodeBase64url(
      JSON.stringify({ alg: key.alg, typ: this.#policy.type ?? 'JWT', kid: key.kid }),
    );
    const unsigned = forEachDraft(drafts, outcomes, ({ request, ...draft }) => {
      const known = users.get(request.sub);
      if (known === undefined && this.#ports.addUsers !== undefined) parseNewSubject(request.sub);
      if (known !== undefined && draft.last !== undefined && known.version !== draft.last.userVersion)
        throw sessionEnded();
      const user = requireEnabled(known, request.sub, this.#ports.users);
      const session = request.refresh === true ? nextStep(draft.last, user, now) : undefined;
      const jti = session && familyJti(session.family, session.counter);
      const claims = claimsSet(request, this.#policy, draft.replayedIat ?? now, jti);
      const input = `${header}.${encodeBase64url(JSON.stringify(claims))}`;
      return { ...draft, request, user, claims, session, input };
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
    signer: Signer,
    drafts: readonly SignedDraft[],
    now: number,
    outcomes: Outcomes<unknown>,
  ): Promise<SignedDraft[]> {
    const plain = drafts.filter(({ session }) => session === undefined);
    const registered = await this.#registerEntries(signer, plain, now, outcomes);
    const steps = drafts.flatMap((draft) => this.#step(signer, draft, now) ?? []);
    return [...registered, ...(await this.#advance(signer, steps, now, outcomes))];
  }

  /** Registers the tokens of sessions. A draft whose step was made before gets the token of that step. */
  async #advance(
    signer: Signer,
    steps: ReadonlyArray<{ draft: SignedDraft; step: FamilyStep }>,
    now: number,
    outcomes: Outcomes<unknown>,
  ): Promise<SignedDraft[]> {
    if (steps.length === 0) return [];
    const { registry } = this.#ports;
    const results = await advanceMany(
      registry,
      steps.map(({ step }) => step),
    );
    const reused: SignedDraft[] = [];
    const replayed: Draft[] = [];
    const drafts = steps.map(({ draft }) => draft);
    const advanced = forEachDraft(drafts, outcomes, (draft, position) => {
      const result = results[position] as FamilyOutcome | JwtctlError;
      if (result instanceof JwtctlError) throw result;
      switch (result.state) {
        case 'advanced':
          return [draft];
        case 'replayed':
          // The reply to this step was lost, and no client knows its family.
          if (draft.last === undefined) return [draft];
          this.#assertPlausible(result.iat, draft.last, now);
          replayed.push({ ...draft, replayedIat: result.iat });
          return [];
        case 'reused':
          reused.push(draft);
          throw sessionReused();
        case 'unknown':
          throw new JwtctlError('ERR_REFRESH_INVALID', 'The session of the refresh token does not exist.');
        case 'limited':
          throw tokenLimit(draft.request.sub, this.#policy);
        default:
          return unreachable(result);
      }
    }).flat();
    const families = new Map(reused.map((draft) => [draft.session?.family, draft]));
    for (const draft of families.values()) await this.#endReused(draft);
    return [...advanced, ...(await this.#repeat(signer, replayed, now, outcomes))];
  }

  /** A client that can write to Redis must not choose the `iat` of a token: one in the future would outlive revocations. */
  #assertPlausible(iat: number, last: RefreshTokenContents, now: number): void {
    if (last.iat <= iat && iat <= now + this.#policy.clockToleranceSeconds) return;
    throw new JwtctlError('ERR_REFRESH_INVALID', 'The registry has an impossible time for the session.');
  }

  /** Makes the token of a step again. Its entry exists, unless another key signs by now. */
  async #repeat(
    signer: Signer,
    drafts: readonly Draft[],
    now: number,
    outcomes: Outcomes<unknown>,
  ): Promise<SignedDraft[]> {
    if (drafts.length === 0) return [];
    const users = await this.#ports.users.findMany(subjectsOf(drafts));
    const signed = await this.#sign(signer, drafts, users, now, outcomes);
    return this.#registerEntries(signer, signed, now, outcomes);
  }

  async #registerEntries(
    signer: Signer,
    drafts: readonly SignedDraft[],
    now: number,
    outcomes: Outcomes<unknown>,
  ): Promise<SignedDraft[]> {
    const registrations = drafts.map((draft) => this.#registration(signer, draft, now));
    const errors = await registerMany(this.#ports.registry, registrations);
    return forEachDraft(drafts, outcomes, (draft, position) => {
      const error = errors[position] ?? null;
      if (error !== null) throw error;
      return draft;
    });
  }

  async #endReused({ request: { sub }, session }: SignedDraft): Promise<void> {
    const { database, registry, clock, actor } = this.#ports;
    const family = session?.family ?? '';
    await endReusedFamily({ database, registry, clock, actor }, this.#policy, { sub, family });
  }

  #registration({ key }: Signer, draft: SignedDraft, now: number): Registration {
    const { statusTtlSeconds, maxPerSubject, onLimit } = this.#policy;
    const { request, user, claims } = draft;
    const { sub, jti, iat, exp } = claims;
    return {
      ...{ sub, entry: { jti, keyId: key.id, iat, exp }, now, meta: request.meta, maxPerSubject, onLimit },
      user: knownStatus(user, now, statusTtlSeconds),
    };
  }

  #step(signer: Signer, draft: SignedDraft, now: number): { draft: SignedDraft; step: FamilyStep } | null {
    const { session, claims } = draft;
    if (session === undefined) return null;
    const { refreshTtlSeconds, refreshGraceSeconds } = this.#policy;
    const family = {
      startedAt: session.startedAt,
      exp: claims.iat + refreshTtlSeconds,
      graceSeconds: refreshGraceSeconds,
    };
    return { draft, step: { ...this.#registration(signer, draft, now), family } };
  }

  async #toIssued({ key }: Signer, { token, claims, session, request }: SignedDraft): Promise<IssuedToken> {
    const { jti, sub, aud, iat, exp } = claims;
    const { kid } = key;
    const issued = { token, jti, kid, sub, aud, iat, exp };
    if (session === undefined) return issued;
    const refreshExp = iat + this.#policy.refreshTtlSeconds;
    const contents = { ...session, sub, kid, iat, exp: refreshExp, request };
    return {
      ...issued,
      refreshToken: await sealRefreshToken(this.#ports.refreshTokens, contents),
      refreshExp,
    };
  }

  async #eventsAfter(drafts: readonly Draft[]): Promise<RevocationIndex> {
    const { securityLog } = this.#ports.database;
    const refreshed = drafts.filter(({ last }) => last !== undefined);
    if (refreshed.length > 0) return readEvents(securityLog, tokensOf(refreshed));
    return new RevocationIndex(await securityLog.findGlobal());
  }

  async #remove({ key }: Signer, drafts: readonly SignedDraft[], now: number): Promise<void> {
    const named = drafts.map(({ claims: { sub, jti, iat } }) => ({
      sub,
      entry: { jti, keyId: key.id, iat },
    }));
    await removeNamedEntries(this.#ports.registry, named, now);
    for (const { session, last, claims } of drafts) {
      if (session === undefined || last !== undefined) continue;
      await this.#ports.registry.remove(claims.sub, { family: session.family }, now);
    }
  }
}

/** A refresh token, and the client that presents it. */
export interface RefreshTokenUse {
  refreshToken: string;
  clientId?: string | undefined;
}

function sessionEnded(): JwtctlError {
  return new JwtctlError('ERR_REFRESH_REVOKED', 'The session of the refresh token has ended.');
}

function sessionReused(): JwtctlError {
  const message =
    'The refresh token was used before, and its grace period is over. jwtctl has ended the session.';
  return new JwtctlError('ERR_REFRESH_REUSED', message);
}

function requireEnabled(user: User | undefined, sub: string, users: UserDirectory): User {
  if (user === undefined) {
    throw (
      users.missing?.(sub) ?? new JwtctlError('ERR_USER_UNKNOWN', `There is no user ${JSON.stringify(sub)}.`)
    );
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
