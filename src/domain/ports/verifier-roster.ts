/** Knows which long-running verifiers run. Nothing that is about tokens sees a heartbeat: no scan, no count, no flush. */
export interface VerifierRoster {
  /** For how long a verifier counts as running after its last heartbeat, in seconds. */
  readonly heartbeatLifetimeSeconds: number;

  /** Records a verifier's heartbeat in place of its previous one. */
  report(heartbeat: Heartbeat): Promise<void>;

  /** Removes the heartbeat of the verifier with this id. */
  deregister(id: string): Promise<void>;

  /**
   * Returns the heartbeats that count. Each counts until its `until` plus the clock tolerance, by the server's own clock: a
   * verifier must not seem gone because its clock and the caller's differ.
   *
   * @param now for a store without a clock, whose users share one host
   */
  fleet(now: number): Promise<FleetLook>;
}

/** The heartbeats that a store holds. */
export interface FleetLook {
  /** Oldest first (`startedAt`, then `id`). */
  verifiers: Heartbeat[];
  /**
   * For how many seconds the store has kept every heartbeat. A verifier that has not reported since may be missing: Redis
   * replicates late, so a failover loses the latest heartbeats, and a restart all. Infinity for a store that loses nothing; 0
   * if it is not known.
   */
  keptSeconds: number;
  /** How many heartbeats were ignored because no verifier can have written them. Default: 0. */
  untrusted?: number | undefined;
}

/** What a long-running verifier reports of itself. */
export interface Heartbeat {
  /** Random, new for each verifier. */
  id: string;
  host: string;
  pid: number;
  startedAt: number;
  /** The keys that it accepts tokens under, as it last read them. */
  kids: string[];
  log: LogProgress;
  /** When its last whole read of the security log began; null before the first has ended. */
  readAt: number | null;
  /** When it reported this. */
  at: number;
  /** How long it counts, unless a newer one replaces it. */
  until: number;
}

/** What has been read of the security log: exactly the ids up to `position`, except those in `missing`. */
export interface LogProgress {
  position: number;
  /** Ranges, both ends inclusive, in ascending order. */
  missing: Array<[from: number, to: number]>;
}
