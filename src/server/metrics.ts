import { Counter, collectDefaultMetrics, Histogram, Registry } from 'prom-client';
import { type KeyPolicy, keyStatus } from '../domain/doctor/key-status.js';
import { isLegacyId } from '../domain/model/legacy-id.js';
import type { Clock } from '../domain/ports/index.js';
import type { ErrorCode } from '../domain/shared/errors.js';
import type { AcceptedClaims } from '../domain/verification/check-claims.js';
import { collected, type MetricValues, optionsOf } from '../metrics/collected.js';
import type { MetricName } from '../metrics/declarations.js';
import { addKeyMetrics } from '../metrics/key-metrics.js';
import type { StoreHealth, VerifierHealth } from '../verifier/health.js';
import type { LiveVerifier } from '../verifier/live-verifier.js';

export interface Metrics {
  /**
   * @param ms the duration; null if the request had no token or more than one
   * @param accepted the claims of an accepted token
   */
  verdict(code: ErrorCode | 'active', ms: number | null, accepted: AcceptedClaims | null): void;
  /** Sets how to read the lag of the delivery of events; null if it is not known. */
  onEventLag(read: () => number | null): void;
  /** Counts a request that the HTTP parser refused. */
  unreadable(status: number): void;
  /** Counts a token that a request issued, without a session or with a new one. */
  issued(): void;
  refreshed(): void;
  /** Counts a refresh token that was used again, which ends its session. */
  reused(): void;
  /** @param tokens how many live tokens a request ended */
  revoked(tokens: number): void;
  registry: Registry;
}

export interface MetricsPolicy extends KeyPolicy {
  heartbeatLifetimeSeconds: number;
}

/** In seconds: from a verdict in memory, through one round trip, to a store that hardly answers. */
const BUCKETS = [0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1, 2.5, 5];
const STATES = ['up', 'degraded', 'down'] as const satisfies ReadonlyArray<StoreHealth['state']>;

/** With several processes, counters are added up, and a gauge shows the worst process. */
export function createMetrics(
  verifier: Pick<LiveVerifier, 'health' | 'allKeys'>,
  clock: Clock,
  policy: MetricsPolicy,
): Metrics {
  const registry = new Registry();
  collectDefaultMetrics({ register: registry });
  const add = (name: MetricName, read: (health: VerifierHealth) => MetricValues) =>
    collected(registry, name, () => read(verifier.health()));
  const counter = (name: MetricName) => new Counter(optionsOf(registry, name));

  const verdicts = new Map<string, number>();
  add('jwtctl_verifications_total', () => [...verdicts].map(([code, count]) => [{ code }, count]));
  const duration = new Histogram({
    ...optionsOf(registry, 'jwtctl_verification_duration_seconds'),
    buckets: BUCKETS,
  });
  const legacy = counter('jwtctl_legacy_verifications_total');
  const unreadable = counter('jwtctl_unreadable_requests_total');
  const issued = counter('jwtctl_tokens_issued_total');
  const revoked = counter('jwtctl_tokens_revoked_total');
  const refreshed = counter('jwtctl_refreshes_total');
  const reused = counter('jwtctl_refresh_tokens_reused_total');

  add('jwtctl_ready', ({ isReady }) => Number(isReady));
  add('jwtctl_store_state', ({ database, registry }) =>
    STATES.flatMap((state) => [
      [{ store: 'database', state }, Number(database.state === state)] as const,
      [{ store: 'registry', state }, Number(registry.state === state)] as const,
    ]),
  );
  add('jwtctl_registry_master_up', ({ masters }) =>
    masters.map(({ node, code }) => [{ node }, Number(code === null)]),
  );
  add('jwtctl_registry_master_warning', ({ masters }) =>
    masters.flatMap(({ node, warnings }) => warnings.map((warning) => [{ node, warning }, 1] as const)),
  );
  add('jwtctl_heartbeat_registered', ({ heartbeats: { answeredAt } }) =>
    Number(answeredAt !== null && clock.now() - answeredAt < policy.heartbeatLifetimeSeconds),
  );
  add('jwtctl_security_log_lag_seconds', ({ securityLog: { readAt } }) =>
    readAt === null ? null : Math.max(0, clock.now() - readAt),
  );
  add('jwtctl_security_log_events_behind', ({ securityLog }) => securityLog.eventsBehind);
  let eventLag = (): number | null => null;
  collected(registry, 'jwtctl_event_delivery_lag_seconds', () => eventLag());
  addKeyMetrics(registry, policy, () => keyStatus(verifier.allKeys(), policy, clock.now()));
  add('jwtctl_keys_trusted', ({ keys }) => keys.trusted);
  add('jwtctl_near_cache_tracking', ({ nearCache, masters }) =>
    nearCache === null
      ? []
      : masters.map(({ node, code, warnings }) => [
          { node },
          Number(code === null && !warnings.includes('not_tracking')),
        ]),
  );
  add('jwtctl_near_cache_hits_total', ({ nearCache }) => nearCache?.hits ?? 0);
  add('jwtctl_near_cache_misses_total', ({ nearCache }) => nearCache?.misses ?? 0);
  add('jwtctl_signature_memory_hits_total', ({ signatures }) => signatures.hits);
  add('jwtctl_signature_memory_misses_total', ({ signatures }) => signatures.misses);
  add('jwtctl_signature_memory_entries', ({ signatures }) => signatures.entries);
  add('jwtctl_uses_stored_total', ({ uses }) => uses?.stored ?? 0);
  add('jwtctl_uses_failed_total', ({ uses }) => uses?.failed ?? 0);

  return {
    verdict: (code, ms, accepted) => {
      if (accepted !== null && isLegacyId(accepted.jti)) legacy.inc();
      verdicts.set(code, (verdicts.get(code) ?? 0) + 1);
      if (ms !== null) duration.observe(ms / 1000);
    },
    unreadable: (status) => unreadable.inc({ status }),
    onEventLag: (read) => {
      eventLag = read;
    },
    issued: () => issued.inc(),
    refreshed: () => refreshed.inc(),
    reused: () => reused.inc(),
    revoked: (tokens) => revoked.inc(tokens),
    registry,
  };
}
