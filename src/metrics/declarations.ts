export interface MetricDeclaration {
  type: 'counter' | 'gauge' | 'histogram';
  help: string;
  labels?: readonly string[];
  /** How the values of several workers become one. Default: `sum` */
  workers?: 'sum' | 'max' | 'min';
  from: readonly MetricSource[];
}

/** The endpoint `/metrics` of `jwtctl serve`, or the command `jwtctl metrics`. */
export type MetricSource = 'serve' | 'metrics';

const SERVE = { from: ['serve'] } as const;
const COMMAND = { from: ['metrics'] } as const;
const BOTH = { from: ['serve', 'metrics'] } as const;

/** Every metric of jwtctl, in the order of the documentation. */
export const METRICS = {
  jwtctl_verifications_total: {
    ...SERVE,
    type: 'counter',
    help: 'Requests by verdict: active, or the code of the refusal or failure.',
    labels: ['code'],
  },
  jwtctl_verification_duration_seconds: {
    ...SERVE,
    type: 'histogram',
    help: 'The time from a request with a token to its verdict.',
  },
  jwtctl_legacy_verifications_total: {
    ...SERVE,
    type: 'counter',
    help: 'Accepted tokens that were registered with --legacy.',
  },
  jwtctl_unreadable_requests_total: {
    ...SERVE,
    type: 'counter',
    help: 'Requests that could not be read, by status: 400, 408, or 431.',
    labels: ['status'],
  },
  jwtctl_tokens_issued_total: {
    ...SERVE,
    type: 'counter',
    help: 'Tokens issued by POST /v1/tokens.',
  },
  jwtctl_tokens_revoked_total: {
    ...SERVE,
    type: 'counter',
    help: 'Live tokens ended by requests to the API.',
  },
  jwtctl_refreshes_total: { ...SERVE, type: 'counter', help: 'Sessions refreshed by POST /token.' },
  jwtctl_refresh_tokens_reused_total: {
    ...SERVE,
    type: 'counter',
    help: 'Refresh tokens that were used again after refresh.grace. Each reuse ended a session.',
  },

  jwtctl_ready: { ...SERVE, type: 'gauge', help: 'Whether this instance can verify.', workers: 'min' },
  jwtctl_store_state: {
    ...SERVE,
    type: 'gauge',
    help: 'The state of a store (up, degraded, or down): 1 for the current state.',
    labels: ['store', 'state'],
    workers: 'max',
  },
  jwtctl_registry_master_up: {
    ...SERVE,
    type: 'gauge',
    help: 'Whether a registry server answered the last read.',
    labels: ['node'],
    workers: 'min',
  },
  jwtctl_registry_master_warning: {
    ...SERVE,
    type: 'gauge',
    help: 'Warnings about registry servers that respond: 1 while a warning applies.',
    labels: ['node', 'warning'],
    workers: 'max',
  },
  jwtctl_heartbeat_registered: {
    ...SERVE,
    type: 'gauge',
    help: 'Whether commands that wait for all verifiers see this one.',
    workers: 'min',
  },
  jwtctl_security_log_lag_seconds: {
    ...SERVE,
    type: 'gauge',
    help: 'Time since the last successful read of the security log and the keys.',
    workers: 'max',
  },
  jwtctl_security_log_events_behind: {
    ...SERVE,
    type: 'gauge',
    help: 'Upper limit of events that are recorded but not yet read, according to Redis; absent if unknown.',
    workers: 'max',
  },
  jwtctl_event_delivery_lag_seconds: {
    ...SERVE,
    type: 'gauge',
    help: 'Age of the oldest event not yet delivered to hooks.command; absent if another process delivers.',
    workers: 'max',
  },

  jwtctl_keys: {
    ...BOTH,
    type: 'gauge',
    help: 'Keys by state: pending, active, retiring, retired, or compromised.',
    labels: ['state'],
    workers: 'min',
  },
  jwtctl_key_created_timestamp_seconds: {
    ...BOTH,
    type: 'gauge',
    help: 'When a pending, active, or retiring key was created.',
    labels: ['kid', 'state'],
    workers: 'min',
  },
  jwtctl_active_key_activated_timestamp_seconds: {
    ...BOTH,
    type: 'gauge',
    help: 'When the active key began to sign; NaN without an active key.',
    workers: 'min',
  },
  jwtctl_next_rotation_timestamp_seconds: {
    ...BOTH,
    type: 'gauge',
    help: 'When the next rotation is due; in the past if it is late; NaN without an active key.',
    workers: 'min',
  },
  jwtctl_keys_rotate_after_seconds: {
    ...BOTH,
    type: 'gauge',
    help: 'The setting keys.rotateAfter.',
    workers: 'min',
  },

  jwtctl_keys_trusted: {
    ...SERVE,
    type: 'gauge',
    help: 'Keys whose tokens are accepted.',
    workers: 'min',
  },

  jwtctl_near_cache_tracking: {
    ...SERVE,
    type: 'gauge',
    help: 'Whether a registry server reports changes to the near cache; absent without verifier.nearCache.',
    labels: ['node'],
    workers: 'min',
  },
  jwtctl_near_cache_hits_total: { ...SERVE, type: 'counter', help: 'Verdicts from the near cache.' },
  jwtctl_near_cache_misses_total: {
    ...SERVE,
    type: 'counter',
    help: 'Verdicts that needed a request to the registry.',
  },
  jwtctl_signature_memory_hits_total: { ...SERVE, type: 'counter', help: 'Signatures found in memory.' },
  jwtctl_signature_memory_misses_total: {
    ...SERVE,
    type: 'counter',
    help: 'Signatures not found in memory, and verified.',
  },
  jwtctl_signature_memory_entries: { ...SERVE, type: 'gauge', help: 'Signatures in memory.' },
  jwtctl_uses_stored_total: {
    ...SERVE,
    type: 'counter',
    help: 'With token.idleTimeout: uses of tokens that were stored.',
  },
  jwtctl_uses_failed_total: {
    ...SERVE,
    type: 'counter',
    help: 'With token.idleTimeout: uses of tokens that could not be stored.',
  },

  jwtctl_metrics_timestamp_seconds: {
    ...COMMAND,
    type: 'gauge',
    help: 'When this run of jwtctl metrics began.',
  },
  jwtctl_problems: {
    ...COMMAND,
    type: 'gauge',
    help: 'Problems by code (ERR_NO_ACTIVE_KEY or ERR_DATABASE_BEHIND): 1 while the problem exists.',
    labels: ['code'],
  },
  jwtctl_registry_scan_complete: {
    ...COMMAND,
    type: 'gauge',
    help: 'Whether the whole registry was read. If not, the numbers of tokens, subjects, and foreign members are absent.',
  },
  jwtctl_live_tokens: {
    ...COMMAND,
    type: 'gauge',
    help: 'Live tokens by key. The kid is empty for keys that the database does not have.',
    labels: ['kid'],
  },
  jwtctl_live_subjects: { ...COMMAND, type: 'gauge', help: 'Subjects with live tokens.' },
  jwtctl_registry_foreign_members: {
    ...COMMAND,
    type: 'gauge',
    help: 'Set members in the registry that are not tokens.',
  },
  jwtctl_registry_node_up: {
    ...COMMAND,
    type: 'gauge',
    help: 'Whether a server of the registry responds.',
    labels: ['node', 'role'],
  },
  jwtctl_registry_memory_bytes: {
    ...COMMAND,
    type: 'gauge',
    help: 'Memory that a Redis server uses, other data included.',
    labels: ['node'],
  },
  jwtctl_registry_memory_limit_bytes: {
    ...COMMAND,
    type: 'gauge',
    help: 'The maxmemory of a Redis server that has one.',
    labels: ['node'],
  },
  jwtctl_verifiers: {
    ...COMMAND,
    type: 'gauge',
    help: 'Running verifiers that sent a heartbeat; absent if the list could not be read.',
  },
  jwtctl_audit_rows_total: {
    ...COMMAND,
    type: 'counter',
    help: 'Rows ever written to the audit log, pruned ones included.',
  },
} as const satisfies Readonly<Record<`jwtctl_${string}`, MetricDeclaration>>;

export type MetricName = keyof typeof METRICS;
