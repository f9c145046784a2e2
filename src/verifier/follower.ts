import type { Clock } from '../domain/ports/index.js';
import type { DatabaseWatch } from './database-watch.js';
import type { HeartbeatSender } from './heartbeat-sender.js';
import type { KeySet } from './key-set.js';
import type { SecurityLogTail } from './security-log-tail.js';
import { SingleFlight } from './single-flight.js';
import type { StoreState } from './store-state.js';

/** How often keys and security log are read, in seconds. */
const EVERY_SECONDS = 1;

export interface FollowerPorts {
  keys: KeySet;
  tail: SecurityLogTail;
  clock: Clock;
  state: StoreState;
  heartbeatSender: HeartbeatSender;
  watch: Pick<DatabaseWatch, 'look' | 'judge'>;
}

/** Keeps what a verifier knows of keys and revocations up to date in the background, and tells of it. */
export class Follower {
  readonly #ports: FollowerPorts;
  readonly #stopping = new AbortController();
  #running: Promise<unknown> = Promise.resolve();
  readonly #reads = new SingleFlight();
  #caughtUpAt: number | null = null;

  constructor(ports: FollowerPorts) {
    this.#ports = ports;
  }

  /**
   * Resolves once everything has been read for the first time. It is announced before: whoever waits for the fleet and does
   * not see this verifier can rely on its reading what was recorded by then.
   *
   * @param connecting what has to be there before the log is read, which then tells all that a registry may have forgotten
   * @throws what the database throws
   */
  async begin(connecting: Promise<unknown> = Promise.resolve()): Promise<void> {
    const { heartbeatSender } = this.#ports;
    try {
      await Promise.all([heartbeatSender.tell(), connecting]);
      await this.catchUp();
    } catch (error) {
      await heartbeatSender.deregister();
      throw error;
    }
    // Apart: a read may take long where the database is away, and a verifier that tells nothing counts as gone.
    this.#running = Promise.all([
      this.#every(() => this.catchUp()),
      this.#every(() => heartbeatSender.tell()),
    ]);
  }

  /** When the last read of the database began that succeeded; null before the first. */
  get caughtUpAt(): number | null {
    return this.#caughtUpAt;
  }

  /** Resolves once a read of both has ended that began from now on. @throws what the database throws */
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
      // What fails shows in the state of the database, and in the age of what is known.
      await clock
        .until(clock.now() + EVERY_SECONDS, signal)
        .then(work)
        .catch(() => {});
    }
  }

  async #readOnce(): Promise<void> {
    const { keys, tail, clock, state, heartbeatSender, watch } = this.#ports;
    const { signal } = this.#stopping;
    const at = clock.now();
    try {
      // Wait for all, even if one fails. A read that is still running would otherwise overlap with the next one.
      const reads = await Promise.allSettled([tail.read(signal), keys.refresh(), watch.look()]);
      for (const read of reads) if (read.status === 'rejected') throw read.reason;
      if (watch.judge()) await tail.read(signal);
      this.#caughtUpAt = at;
      state.answered(clock.now());
    } catch (error) {
      // One that was given up says nothing of the database.
      if (error !== signal.reason) state.failed(error);
      throw error;
    }
    // Not waited for: a registry that is away must not hold up what the database tells.
    if (!signal.aborted) void heartbeatSender.tell();
  }
}
