import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';
import { isLegacyId } from '../domain/model/legacy-id.js';
import type { Clock } from '../domain/ports/index.js';
import type { ErrorCode } from '../domain/shared/errors.js';
import type { AcceptedClaims } from '../domain/verification/check-claims.js';
import type { StoreHealth, VerifierHealth } from '../verifier/health.js';

export interface Metrics {
  /**
   * @param ms the duration; null if the request had no token or more than one
   * @param accepted the claims of an accepted token
   */
  verdict(code: ErrorCode | 'active', ms: number | null, accepted: AcceptedClaims | null): void;
  /** Counts a request that the HTTP parser refused. */
  unreadable(status: number): void;
  registry: Registry;
}

/** In seconds: from a verdict in memory, through one round trip, to a store that hardly answers. */
const BUCKETS = [0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1, 2.5, 5];
const STATES = ['up', 'degraded', 'down'] as const satisfies ReadonlyArray<StoreHealth['state']>;

/** With several processes, counters are added up, and a gauge shows the worst process. */
export function createMetrics(
  health: () => VerifierHealth,
  clock: Clock,
  heartbeatLifetimeSeconds: number,
): Metrics {
  const registry = new Registry();
  const registers = [registry];
  collectDefaultMetrics({ register: registry });

  const verdicts = new Map<string, number>();
  new Counter({
    name: 'jwtctl_verifications_total',
    help: 'Requests by verdict: active, or the code of the refusal or failure.',
    labelNames: ['code'],
    registers,
    collect() {
      this.reset();
      for (const [code, count] of verdicts) this.inc({ code }, count);
    },
  });
  const legacy = new Counter({
    name: 'jwtctl_legacy_verifications_total',
    help: 'Accepted tokens that were registered with --legacy.',
    registers,
  });
  const unreadable = new Counter({
    name: 'jwtctl_unreadable_requests_total',
    help: 'Requests that could not be read, by status: 400, 408, or 431.',
    labelNames: ['status'],
    registers,
  });
  const duration = new Histogram({
    name: 'jwtctl_verification_duration_seconds',
    help: 'The time from a request with a token to its verdict.',
    buckets: BUCKETS,
    registers,
  });

  const total = (name: string, help: string, read: (health: VerifierHealth) => number) =>
    new Counter({
      name,
      help,
      registers,
      collect() {
        this.reset();
        this.inc(read(health()));
      },
    });
  const gauge = (
    name: string,
    help: string,
    aggregator: 'sum' | 'max' | 'min',
    read: (health: VerifierHealth) => number,
  ) =>
    new Gauge({
      name,
      help,
      aggregator,
      registers,
      collect() {
        this.set(read(health()));
      },
    });

  total('jwtctl_signature_memory_hits_total', 'Signatures found in memory.', (now) => now.signatures.hits);
  total(
    'jwtctl_signature_memory_misses_total',
    'Signatures not found in memory, and verified.',
    (now) => now.signatures.misses,
  );
  gauge('jwtctl_signature_memory_entries', 'Signatures in memory.', 'sum', (now) => now.signatures.entries);
  total('jwtctl_near_cache_hits_total', 'Verdicts from the near cache.', (now) => now.nearCache?.hits ?? 0);
  total(
    'jwtctl_near_cache_misses_total',
    'Verdicts that needed a request to the registry.',
    (now) => now.nearCache?.misses ?? 0,
  );
  total('jwtctl_uses_stored_total', 'Uses of tokens that were stored.', (now) => now.uses?.stored ?? 0);
  total('jwtctl_uses_failed_total', 'Uses of tokens not stored.', (now) => now.uses?.failed ?? 0);
  gauge('jwtctl_keys_trusted', 'Keys whose tokens are accepted.', 'min', (now) => now.keys.trusted);
  gauge(
    'jwtctl_active_key_age_seconds',
    'How long the active key has been signing; NaN without an active key.',
    'max',
    (now) => (now.keys.active === null ? Number.NaN : clock.now() - now.keys.active.activatedAt),
  );
  gauge('jwtctl_ready', 'Whether this instance can verify.', 'min', (now) => Number(now.isReady));
  gauge(
    'jwtctl_heartbeat_registered',
    'Whether commands that wait for all verifiers see this one.',
    'min',
    (now) =>
      Number(
        clock.now() - (now.heartbeats.answeredAt ?? Number.NEGATIVE_INFINITY) < heartbeatLifetimeSeconds,
      ),
  );
  new Gauge({
    name: 'jwtctl_store_state',
    help: 'The state of a store: 1 for the current state.',
    labelNames: ['store', 'state'],
    aggregator: 'max',
    registers,
    collect() {
      const { database, registry: tokens } = health();
      for (const state of STATES) {
        this.set({ store: 'database', state }, Number(database.state === state));
        this.set({ store: 'registry', state }, Number(tokens.state === state));
      }
    },
  });

  new Gauge({
    name: 'jwtctl_registry_master_up',
    help: 'Whether a registry server answered the last read.',
    labelNames: ['node'],
    aggregator: 'min',
    registers,
    collect() {
      this.reset();
      for (const { node, code } of health().masters) this.set({ node }, Number(code === null));
    },
  });
  new Gauge({
    name: 'jwtctl_registry_master_warning',
    help: 'Warnings about registry servers that respond: 1 while a warning applies.',
    labelNames: ['node', 'warning'],
    aggregator: 'max',
    registers,
    collect() {
      this.reset();
      for (const { node, warnings } of health().masters)
        for (const warning of warnings) this.set({ node, warning }, 1);
    },
  });

  return {
    verdict: (code, ms, accepted) => {
      if (accepted !== null && isLegacyId(accepted.jti)) legacy.inc();
      verdicts.set(code, (verdicts.get(code) ?? 0) + 1);
      if (ms !== null) duration.observe(ms / 1000);
    },
    unreadable: (status) => unreadable.inc({ status }),
    registry,
  };
}
