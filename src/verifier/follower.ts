import type { Clock } from '../domain/ports/index.js';
import type { DatabaseWatch } from './database-watch.js';
import type { HeartbeatSender } from './heartbeat-sender.js';
import type { KeyCache } from './key-cache.js';
import type { SecurityLogTail } from './security-log-tail.js';
import { SingleFlight } from './single-flight.js';
import type { StoreState } from './store-state.js';

const INTERVAL_SECONDS = 1;

export interface FollowerPorts {
  keys: KeyCache;
  tail: SecurityLogTail;
  clock: Clock;
  state: StoreState;
  heartbeatSender: HeartbeatSender;
  watch: Pick<DatabaseWatch, 'checkServer' | 'evaluate'>;
}

/** Reads keys and the security log every second, and sends heartbeats. */
export class Follower {
  readonly #ports: FollowerPorts;
  readonly #stopping = new AbortController();
  #running: Promise<unknown> = Promise.resolve();
  readonly #reads = new SingleFlight();
  #caughtUpAt: number | null = null;

  constructor(ports: FollowerPorts) {
    this.#ports = ports;
  }

  /** Resolves after the first read, which waits for `connecting`: Redis may lose revocations until then. */
  async begin(connecting: Promise<unknown> = Promise.resolve()): Promise<void> {
    const { heartbeatSender } = this.#ports;
    try {
      // A command that does not see this heartbeat can rely on the verifier to read every earlier event.
      await Promise.all([heartbeatSender.send(), connecting]);
      await this.catchUp();
    } catch (error) {
      await heartbeatSender.deregister();
      throw error;
    }
    // Two loops, because a read may be slow and a verifier without heartbeats counts as gone.
    this.#running = Promise.all([
      this.#every(() => this.catchUp()),
      this.#every(() => heartbeatSender.send()),
    ]);
  }

  /** When the last successful read began; null before the first. */
  get caughtUpAt(): number | null {
    return this.#caughtUpAt;
  }

  catchUp(): Promise<void> {
    return this.#reads.next(() => this.#readOnce());
  }

  async end(): Promise<void> {
    this.#stopping.abort();
    await this.#running;
    await this.#ports.heartbeatSender.deregister();
  }

  async #every(work: () => Promise<void>): Promise<void> {
    const { clock } = this.#ports;
    const { signal } = this.#stopping;
    while (!signal.aborted) {
      // Errors are recorded in the state of the database.
      await clock
        .until(clock.now() + INTERVAL_SECONDS, signal)
        .then(work)
        .catch(() => {});
    }
  }

  async #readOnce(): Promise<void> {
    const { keys, tail, clock, state, heartbeatSender, watch } = this.#ports;
    const { signal } = this.#stopping;
    const at = clock.now();
    try {
      // Waits for all, even if one fails, because a running read would overlap with the next one.
      const reads = await Promise.allSettled([tail.read(signal), keys.refresh(), watch.checkServer()]);
      for (const read of reads) if (read.status === 'rejected') throw read.reason;
      if (watch.evaluate()) await tail.read(signal);
      this.#caughtUpAt = at;
      state.answered(clock.now());
    } catch (error) {
      // An aborted read does not mean that the database failed.
      if (error !== signal.reason) state.failed(error);
      throw error;
    }
    // Not awaited, because a hung registry must not delay reads of the database.
    if (!signal.aborted) void heartbeatSender.send();
  }
}
