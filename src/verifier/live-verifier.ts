import type { PublicJwk } from '../domain/jose/jwk-set.js';
import { isLegacyId } from '../domain/model/legacy-id.js';
import { type Refusal, refuse } from '../domain/model/refusal-codes.js';
import type { SigningKey } from '../domain/model/signing-key.js';
import type { Clock, StatusReader } from '../domain/ports/index.js';
import {
  changeToInclude,
  isCurrent,
  isOutdated,
  type StatusPolicy,
} from '../domain/security-log/cached-user-status.js';
import { freeze } from '../domain/shared/deep-freeze.js';
import { formatDuration } from '../domain/shared/duration.js';
import { JwtctlError } from '../domain/shared/errors.js';
import { ifReachable } from '../domain/shared/unavailable.js';
import { checkClaims, validity } from '../domain/verification/check-claims.js';
import { type CheckedToken, checkJws, parseJws } from '../domain/verification/check-jws.js';
import { checkLegacyToken, type LegacyPorts, type LegacyToken } from '../domain/verification/check-legacy.js';
import {
  checkStatus,
  evaluateStatus,
  type IdlePolicy,
  type TokenStatus,
} from '../domain/verification/check-status.js';
import type { VerificationPorts, VerificationResult } from '../domain/verification/verify.js';
import type { Verifier, VerifierClock } from './create-verifier.js';
import type { DatabaseWatch } from './database-watch.js';
import type { Follower } from './follower.js';
import type { VerifierHealth } from './health.js';
import type { KeyCache, KnownKey } from './key-cache.js';
import type { SecurityLogTail } from './security-log-tail.js';
import { type StateChange, StateWatch } from './state-watch.js';
import { registryHealth, type StoreState } from './store-state.js';
import { type KnownToken, TokenCache } from './token-cache.js';
import { UseRecorder } from './use-recorder.js';
import type { UserLookup } from './user-lookup.js';
import type { UserStates } from './user-states.js';

export interface LiveVerifier extends Verifier {
  /** Returns the keys that a token can be valid under. @throws JwtctlError kind `unavailable` */
  jwkSet(): Promise<{ keys: PublicJwk[] }>;
  health(): VerifierHealth;
  /** Returns every key that was last read, whatever its state, oldest first. */
  allKeys(): readonly SigningKey[];
  /** Waits for running verifications and stops the background work. Leaves the context's stores open. */
  close(): Promise<void>;
}

interface LiveVerifierPorts {
  keys: KeyCache;
  tail: SecurityLogTail;
  follower: Follower;
  watch: DatabaseWatch;
  statusReader: StatusReader;
  legacy: LegacyPorts<KnownKey>;
  epoch: number;
  refusals: { count: number };
  states: UserStates;
  users: UserLookup;
  clock: Clock;
  databaseState: StoreState;
  heartbeatState: StoreState;
}

type LiveVerifierPolicy = VerificationPorts['policy'] &
  StatusPolicy &
  IdlePolicy & {
    graceSeconds: number;
    rememberedTokens: number;
    nearCache: boolean;
  };

export class StoreVerifier implements LiveVerifier {
  readonly clock: VerifierClock;
  readonly #ports: LiveVerifierPorts;
  readonly #policy: LiveVerifierPolicy;
  readonly #cache: TokenCache;
  readonly #watch: StateWatch;
  readonly #uses: UseRecorder;
  readonly #keyPorts = {
    findKey: async (kid: string) => {
      const { keys, watch } = this.#ports;
      const key = await keys.find(kid);
      if (key === null) watch.assertComplete();
      return key;
    },
  };
  readonly #signatures = { hits: 0, misses: 0 };
  readonly #verdicts = { hits: 0, misses: 0 };
  readonly #running = new Set<Promise<unknown>>();
  /** The registry's epoch that the security log was last read for: see {@link StoredStatus.epoch}. */
  #readEpoch: number;
  #isClosed = false;

  constructor(
    ports: LiveVerifierPorts,
    policy: LiveVerifierPolicy,
    onStateChange: (change: StateChange) => void,
  ) {
    this.clock = { now: ports.clock.now, toleranceSeconds: policy.clockToleranceSeconds };
    this.#ports = ports;
    this.#policy = policy;
    this.#cache = new TokenCache(policy.rememberedTokens);
    this.#readEpoch = ports.epoch;
    const { clock, statusReader } = ports;
    this.#uses = new UseRecorder(ports, policy);
    const probe = () => statusReader.probe();
    this.#watch = new StateWatch(
      { clock, probe, health: () => this.health(), report: onStateChange },
      policy.graceSeconds,
    );
    this.#watch.begin();
  }

  verify(token: string): Promise<VerificationResult> {
    if (this.#isClosed) return Promise.reject(closed());
    const known = typeof token === 'string' ? this.#cache.get(token) : undefined;
    if (known === undefined || this.#ports.keys.peek(known.key.kid) !== known.key)
      return this.#during(this.#verifyUnknown(token));
    this.#signatures.hits += 1;
    const now = this.#ports.clock.now();
    if (!(now >= known.validFrom && now < known.validUntil))
      return this.#during(this.#verifyTimes(known, now));
    if (this.#isValid(known, now)) {
      this.#verdicts.hits += 1;
      this.#uses.record(known, now);
      return Promise.resolve(known.acceptance);
    }
    return this.#during(this.#verifyStatus(known));
  }

  async jwkSet(): Promise<{ keys: PublicJwk[] }> {
    this.#assertServing();
    return { keys: this.#ports.keys.trusted.map(({ jwk }) => ({ ...jwk })) };
  }

  health(): VerifierHealth {
    const { keys, watch, follower, databaseState, heartbeatState, clock, statusReader } = this.#ports;
    const isServing = this.#isServing(clock.now());
    const masters = statusReader.masters();
    const registry = registryHealth(masters);
    return {
      isReady: isServing && registry.state !== 'down',
      database: watch.health(databaseState.health(isServing)),
      registry,
      masters,
      heartbeats: heartbeatState.health(true),
      uses: this.#uses.health(),
      securityLog: { readAt: follower.caughtUpAt, eventsBehind: watch.eventsBehind },
      keys: { trusted: keys.trusted.length, active: keys.active },
      signatures: { entries: this.#cache.size, ...this.#signatures },
      nearCache: this.#policy.nearCache ? { ...this.#verdicts } : null,
    };
  }

  allKeys(): readonly SigningKey[] {
    return this.#ports.keys.rows;
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    await this.#watch.end();
    await Promise.allSettled(this.#running);
    await this.#uses.end();
    await this.#ports.follower.end();
    this.#ports.statusReader.close();
  }

  #during(work: Promise<VerificationResult>): Promise<VerificationResult> {
    this.#running.add(work);
    const end = () => this.#running.delete(work);
    work.then(({ active }) => {
      if (!active) this.#ports.refusals.count += 1;
      end();
    }, end);
    return work;
  }

  #isValid(known: KnownToken, now: number): boolean {
    const { verdict, claims, key, issuedAt } = known;
    if (verdict === null || !isCurrent(verdict.user, now, this.#policy)) return false;
    if (!verdict.lease.isValid(now) || !this.#isServing(now) || this.#uses.isIdle(known, now)) return false;
    const { revision, events } = this.#ports.tail;
    if (verdict.revision === revision) return true;
    const { sub, jti } = claims;
    if (events.covers({ sub, jti, iat: issuedAt, kid: key.kid })) return false;
    if (isOutdated(verdict.user, changeToInclude(events, sub, this.#policy))) return false;
    verdict.revision = revision;
    return true;
  }

  /** If the clock was set back, the age is negative; `abs` limits how long that extends the grace period. */
  #isServing(now: number): boolean {
    const age = now - (this.#ports.follower.caughtUpAt ?? 0);
    return Math.abs(age) < this.#policy.graceSeconds && this.#ports.watch.isConfirmed;
  }

  #assertServing(): void {
    const { databaseState, clock, follower, watch } = this.#ports;
    if (this.#isServing(clock.now())) return;
    watch.assertConfirmed();
    const { code } = databaseState.health(false);
    const duration = formatDuration(Math.max(1, clock.now() - (follower.caughtUpAt ?? 0)));
    const silence = `has not responded for ${duration}${code === null ? '' : ` (${code})`}`;
    const message = `The database ${silence}, so the known keys and revocations are out of date.`;
    throw new JwtctlError('ERR_VERIFIER_GRACE_EXCEEDED', message);
  }

  async #verifyUnknown(token: string): Promise<VerificationResult> {
    this.#assertServing();
    // First, because reading the keys again for an unknown kid takes a second, and few tokens may wait for that.
    const early = this.#hasUnknownKid(token) ? await this.#checkLegacy(token, UNKNOWN_KEY) : null;
    if (early !== null && !('active' in early)) return this.#verifyLegacy(token, early);
    const jws = await checkJws(token, this.#keyPorts, this.#policy);
    if (!('active' in jws) || jws.error.code === 'ERR_SIGNATURE_INVALID') this.#signatures.misses += 1;
    const checked = 'active' in jws ? jws : checkClaims(jws.payload, this.#policy, this.#ports.clock.now());
    if ('active' in checked || 'active' in jws) {
      const refusal = checked as Refusal;
      if (early !== null && refusal.error.code === 'ERR_KEY_UNKNOWN')
        return early === UNKNOWN_KEY ? refusal : early;
      const legacy = await this.#checkLegacy(token, refusal);
      return 'active' in legacy ? legacy : this.#verifyLegacy(token, legacy);
    }
    const issuedAt = checked.claims.iat;
    const known = this.#toKnown(token, { ...jws, claims: checked.claims, issuedAt }, checked.claims);
    this.#cache.set(known);
    return this.#verifyStatus(known);
  }

  #hasUnknownKid(token: string): boolean {
    if (this.#ports.legacy.acceptUntil === null) return false;
    const jws = parseJws(token);
    if ('active' in jws) return false;
    const { kid } = jws.header;
    return typeof kid === 'string' && this.#ports.keys.peek(kid) === undefined;
  }

  #checkLegacy(token: string, refusal: Refusal): Promise<LegacyToken<KnownKey> | Refusal> {
    const { legacy, clock } = this.#ports;
    return checkLegacyToken(token, refusal, legacy, this.#policy, clock.now());
  }

  #verifyLegacy(token: string, legacy: LegacyToken<KnownKey>): Promise<VerificationResult> {
    const known = this.#toKnown(token, legacy, legacy.times, this.#ports.legacy.acceptUntil);
    this.#cache.set(known);
    return this.#verifyStatus(known);
  }

  async #verifyTimes(known: KnownToken, now: number): Promise<VerificationResult> {
    if (isLegacyId(known.claims.jti)) return this.#verifyUnknown(known.token);
    const checked = checkClaims(known.claims, this.#policy, now);
    return 'active' in checked ? checked : this.#verifyStatus(known);
  }

  async #verifyStatus(known: KnownToken): Promise<VerificationResult> {
    this.#assertServing();
    this.#verdicts.misses += 1;
    const { clock, tail, states, users } = this.#ports;
    const stored = await known.query.read(this.#uses.isDue(known, clock.now()));
    if (stored.epoch > this.#readEpoch) await this.#readLogAfter(stored.epoch);
    const now = clock.now();
    const { claims, key, issuedAt } = known;
    const { sub, jti, iat } = claims;
    const token = { sub, jti, iat, kid: key.kid, issuedAt };
    const { exp, user: cached, lease } = stored;
    const { revision } = tail;
    const lastSeen = this.#uses.learn(known, stored, now);
    const evaluate = () => {
      const { events } = tail;
      return evaluateStatus(
        { token, exp, lastSeen, cached, lastAnswer: states.lastAnswer(sub), events, policy: this.#policy },
        now,
      );
    };
    let evaluated = evaluate();
    let user: TokenStatus['user'] | undefined = evaluated.user?.status;
    if (user === undefined) {
      const refusal = checkStatus({ ...evaluated, user: 'enabled' }, claims, key.kid);
      if (refusal !== null) return refusal;
      user = await users.find(sub, cached);
      // The log may have new events now.
      evaluated = evaluate();
    }
    const refusal = checkStatus({ ...evaluated, user }, claims, key.kid);
    if (refusal !== null) return refusal;
    if (lease !== null && evaluated.user?.status === 'enabled')
      known.verdict = { lease, user: evaluated.user, revision };
    this.#uses.record(known, now, stored);
    return known.acceptance;
  }

  /** Reads the log before trusting a new master, which may have lost recent revocations. */
  async #readLogAfter(epoch: number): Promise<void> {
    const { follower, databaseState } = this.#ports;
    // A database that is down records no revocations.
    if (!databaseState.isUp) return;
    await ifReachable(async () => {
      await follower.catchUp();
      this.#readEpoch = Math.max(this.#readEpoch, epoch);
    }, undefined);
  }

  #toKnown(
    token: string,
    { header, key, claims, issuedAt }: CheckedToken<KnownKey> & { issuedAt: number },
    times: Parameters<typeof validity>[0],
    acceptUntil: number | null = null,
  ): KnownToken {
    const { sub, jti, iat } = claims;
    const { validFrom, validUntil } = validity(times, this.#policy.clockToleranceSeconds);
    return {
      // Copied, because a substring would keep the whole header in memory (V8).
      token: Buffer.from(token, 'latin1').toString('latin1'),
      ...{ key, claims, issuedAt },
      acceptance: Object.freeze({ active: true, header, payload: freeze(claims) }),
      query: this.#ports.statusReader.of(sub, { jti, iat, keyId: key.id }),
      validFrom,
      validUntil: Math.min(validUntil, acceptUntil ?? Number.POSITIVE_INFINITY),
      verdict: null,
      lastSeen: undefined,
    };
  }
}

const UNKNOWN_KEY = refuse('ERR_KEY_UNKNOWN', 'The kid of the JOSE Header is not known.');

function closed(): JwtctlError {
  return new JwtctlError('ERR_CLOSED', 'The verifier is closed. Open another one.');
}
