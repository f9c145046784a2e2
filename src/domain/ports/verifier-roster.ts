/** Tracks the running long-running verifiers. Scans, counts, and flushes of tokens ignore heartbeats. */
export interface VerifierRoster {
  /** How long a verifier counts as running after its last heartbeat, in seconds. */
  readonly heartbeatLifetimeSeconds: number;

  /** @throws JwtctlError `ERR_HEARTBEAT_TOO_LONG` (state) */
  report(heartbeat: Heartbeat): Promise<void>;

  deregister(id: string): Promise<void>;

  /** Returns the heartbeats that are valid by the server's clock, or at `now` for a store without one. */
  fleet(now: number): Promise<FleetLook>;
}

export interface FleetLook {
  /** Oldest first (`startedAt`, then `id`). */
  verifiers: Heartbeat[];
  /**
   * For how many seconds the store has kept every heartbeat: Infinity if it loses none, 0 if unknown. A
   * failover of Redis loses the latest ones, so a verifier may be missing.
   */
  keptSeconds: number;
  /** How many heartbeats were ignored because no verifier can have written them. Default: 0. */
  untrusted?: number | undefined;
}

export interface Heartbeat {
  /** Random, new for each verifier. */
  id: string;
  host: string;
  pid: number;
  /** Of jwtctl. Earlier versions did not report it. */
  version?: string | undefined;
  startedAt: number;
  /** The pending keys and the active key, as last read. */
  kids: string[];
  log: LogProgress;
  /** How many tokens it has refused since it started. 0 if an earlier version of jwtctl does not report it. */
  refused: number;
  /** Whether MySQL lacks changes that the verifier has read: it was restored from a backup. Default: false */
  isBehind?: boolean;
  /** When its last complete read of the security log began; null before the first one has ended. */
  readAt: number | null;
  at: number;
  until: number;
}

/** Which events of the security log were read: the ids up to `position`, except those in `missing`. */
export interface LogProgress {
  position: number;
  /** Ranges, both ends inclusive, in ascending order. */
  missing: Array<[from: number, to: number]>;
}
