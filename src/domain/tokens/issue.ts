import type { KeyObject } from 'node:crypto';
import { AuditRowBatcher } from '../audit-log/audit-row-batcher.js';
import { encodeBase64url } from '../jose/jws.js';
import { noActiveKey } from '../keys/find-key.js';
import { familyJti, familyOf } from '../model/family.js';
import type { SigningAlgorithm } from '../model/signing-key.js';
import { newSubjectFault, parseNewSubject } from '../model/subject.js';
import type {
  Database,
  EntryStore,
  FamilyStore,
  RefreshTokenSealer,
  TokenStatusReader,
  UserDirectory,
} from '../ports/index.js';
import type { DatabaseGuard } from '../recovery/database-guard.js';
import { RevocationIndex, readEvents } from '../security-log/revocation-index.js';
import { JwtctlError } from '../shared/errors.js';
import { ifReachable } from '../shared/unavailable.js';
import { ActiveSigner, type Signer, type SignerPorts } from './active-signer.js';
import { endMissingUsers } from './end-missing-users.js';
import { auditReasonOf } from './impersonation.js';
import {
  type Draft,
  forEachDraft,
  hasEnded,
  nextStep,
  type Outcomes,
  onlyOutcome,
  type SessionStep,
  type SignedDraft,
  subjectsOf,
  tokensOf,
} from './issue-drafts.js';
import type { IssuedToken } from './issued-token.js';
import { type PlannedToken, TokenPlanner } from './plan-tokens.js';
import { endOfSession, refreshExpiry, sealRefreshToken } from './refresh-token.js';
import { DraftRegistry } from './register-drafts.js';
import { issuableFrom, LONGEST_WAIT_SECONDS, revokedAhead } from './revoked-ahead.js';
import { narrowScope, scopesOf } from './scope.js';
import {
  assertReadable,
  assertUsable,
  claimsSet,
  type IssuerPolicy,
  type TokenRequest,
} from './token-request.js';
import { claimsOf, requireEnabled } from './token-user.js';
import { openUse, type RefreshTokenUse, sessionEnded } from './use-refresh-token.js';

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

/** Signs and registers tokens. Several calls may run at the same time. */
export class Issuer {
  readonly #ports: IssuerPorts;
  readonly #policy: IssuerPolicy;
  readonly #signer: ActiveSigner;
  readonly #registry: DraftRegistry;
  readonly #audit: AuditRowBatcher;
  readonly #planner: TokenPlanner;

  constructor(ports: IssuerPorts, policy: IssuerPolicy) {
    this.#ports = ports;
    this.#policy = policy;
    this.#signer = new ActiveSigner(ports, policy);
    this.#registry = new DraftRegistry(ports, policy, (...args) => this.#sign(...args));
    this.#audit = new AuditRowBatcher(ports.database);
    this.#planner = new TokenPlanner(ports, policy);
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
    const action = request.act === undefined ? 'token.issue' : 'token.impersonate';
    const row = { actor: this.#ports.actor, action, target, outcome: 'done', reason: auditReasonOf(request) };
    await this.#audit.append({ ...row, at: issued.iat }).catch(async (error) => {
      await this.discard(issued);
      throw error;
    });
    return issued;
  }

  /** Removes the entry of a token that is not returned after all, and the session that began with it. */
  async discard({ sub, jti }: IssuedToken): Promise<void> {
    const { registry, clock } = this.#ports;
    const family = familyOf(jti);
    const filter = family === null ? { jti } : { families: [family] };
    await ifReachable(() => registry.remove(sub, filter, clock.now()), null);
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
  async refreshMany(
    uses: readonly RefreshTokenUse[],
    options: IssueOptions = {},
  ): Promise<Array<IssuedToken | JwtctlError>> {
    const outcomes: Outcomes<IssuedToken> = [];
    const opened = await Promise.all(uses.map((use) => openUse(this.#ports, this.#policy, use)));
    const drafts = opened.flatMap((draft, index) => {
      if (!(draft instanceof JwtctlError)) return [{ ...draft, index }];
      outcomes[index] = draft;
      return [];
    });
    await this.#issueDrafts(drafts, outcomes, options);
    return outcomes;
  }

  async #issueDrafts(
    requested: readonly Draft[],
    outcomes: Outcomes<IssuedToken>,
    { mayWait = true }: IssueOptions = {},
  ): Promise<void> {
    let drafts = requested;
    for (let attempt = 1; drafts.length > 0; attempt++) {
      const { signer, now, ready } = await this.#readyToSign(drafts, outcomes, mayWait);
      const signed = await this.#sign(signer, ready, now, outcomes);
      if (signed.length === 0) break;
      const registered = await this.#registry.register(signer, signed, now, outcomes);
      // Read again, because a command that ends tokens removes only entries that exist by then.
      const events = await this.#eventsAfter(registered).catch(async (error) => {
        // A refresh may have returned the same token to another request before.
        const unknown = registered.filter(({ last }) => last === undefined);
        await this.#registry.remove(signer, unknown, now).catch(() => {});
        throw error;
      });
      if (!events.isCompromised(signer.key.kid)) {
        const going = registered.filter(({ last }) => last !== undefined && hasEnded(last, events));
        // The event ends them, so an entry that stays must not fail the others.
        await ifReachable(() => this.#registry.remove(signer, going, now), undefined);
        for (const draft of going) outcomes[draft.index] = sessionEnded();
        const issued = going.length === 0 ? registered : registered.filter((draft) => !going.includes(draft));
        for (const draft of issued) {
          const token = tokenOf(signer, draft);
          const { session } = draft;
          outcomes[draft.index] =
            session === undefined ? token : await this.#withSession(token, session, draft);
        }
        // A client that gets an error instead may repeat the refresh, however long the stores were away.
        await this.#registry.startGrace(issued, now);
        break;
      }
      await this.#registry.remove(signer, registered, now);
      if (attempt === SIGNER_ATTEMPTS) throw noActiveKey();
      drafts = registered;
    }
  }

  async plan(request: TokenRequest): Promise<PlannedToken> {
    return onlyOutcome(await this.planMany([request]));
  }

  /** Performs the checks of {@link issueMany}. Earlier plans count toward the limit. Signs nothing. */
  async planMany(requests: readonly TokenRequest[]): Promise<Array<PlannedToken | JwtctlError>> {
    const outcomes: Outcomes<PlannedToken> = [];
    const drafts = this.#usableDrafts(requests, outcomes);
    if (drafts.length > 0) await this.#planner.plan(drafts, outcomes);
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
      const earliest = (draft: Draft) => issuableFrom(draft, events, kid);
      const refuseAfter = (latest: number) => {
        ready = forEachDraft(ready, outcomes, (draft) => {
          if (earliest(draft) > latest)
            throw revokedAhead(draft.request.sub, earliest(draft) - 1 - clock.now());
          return draft;
        });
      };
      refuseAfter(mayWait ? now + LONGEST_WAIT_SECONDS + 1 - waitedSeconds : now);
      const from = ready.reduce((latest, draft) => Math.max(latest, earliest(draft)), now);
      if (from <= now) return { signer, now, ready };
      waitedSeconds += from - now;
      await clock.until(from);
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
    now: number,
    outcomes: Outcomes<unknown>,
  ): Promise<SignedDraft[]> {
    // Read after the wait: a user may be removed and added again during it.
    const users = await this.#ports.users.findMany(subjectsOf(drafts));
    const failures = await endMissingUsers(this.#ports, this.#policy, drafts, users, now);
    const header = encodeBase64url(
      JSON.stringify({ alg: key.alg, typ: this.#policy.type ?? 'JWT', kid: key.kid }),
    );
    const inputs: string[] = [];
    const drafted = forEachDraft(drafts, outcomes, (draft): SignedDraft => {
      const { index, request, last, replayedIat, scope, actor } = draft;
      const failure = failures.get(request.sub);
      if (failure !== undefined) throw failure;
      const known = users.get(request.sub);
      if (known === undefined && this.#ports.addUsers !== undefined) parseNewSubject(request.sub);
      if (known !== undefined && last !== undefined && known.version !== last.userVersion)
        throw sessionEnded();
      const user = requireEnabled(known, request.sub, this.#ports.users);
      const session = request.refresh === true ? nextStep(last, user, now) : undefined;
      const jti = session && familyJti(session.family, session.counter);
      const iat = replayedIat ?? now;
      const longest =
        session === undefined ? Number.POSITIVE_INFINITY : endOfSession(session, this.#policy) - iat;
      const all = claimsSet(request, this.#policy, iat, claimsOf(user, this.#policy), jti, longest);
      const claims = narrowScope(all, scope);
      inputs.push(`${header}.${encodeBase64url(JSON.stringify(claims))}`);
      // Every member is named, because a spread copies each draft of a bulk command twice.
      return { index, request, last, replayedIat, scope, actor, user, claims, session, token: '' };
    });
    const signatures = await this.#ports.sign(key.alg, privateKey, inputs);
    return forEachDraft(drafted, outcomes, (draft, position) => {
      // Set on the draft: a copy of each made issuing in bulk measurably slower.
      draft.token = `${inputs[position]}.${signatures[position]}`;
      assertReadable(draft.token);
      return draft;
    });
  }

  async #withSession(
    issued: IssuedToken,
    session: SessionStep,
    { claims, request, last }: SignedDraft,
  ): Promise<IssuedToken> {
    const { sub, kid, iat } = issued;
    const refreshExp = refreshExpiry(session, iat, this.#policy);
    // The next refresh may ask for every scope of the session again (RFC 6749 §6).
    const requested = last === undefined ? request : { ...last.request, clientId: request.clientId };
    const contents = { ...session, sub, kid, iat, exp: refreshExp, request: requested };
    const scope = Object.hasOwn(claims, 'scope') ? scopesOf(claims).join(' ') : undefined;
    return {
      ...issued,
      ...(scope === undefined ? {} : { scope }),
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
}

function tokenOf({ key: { kid } }: Signer, { token, claims }: SignedDraft): IssuedToken {
  const { jti, sub, aud, iat, exp } = claims;
  return { token, jti, kid, sub, aud, iat, exp };
}
