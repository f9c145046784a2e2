import type { Clock } from '../domain/ports.js';
import type { KeySet } from './key-set.js';
import type { SecurityLogTail } from './security-log-tail.js';
import type { StoreState } from './store-state.js';

/** How often the security log is read, in seconds. */
const EVERY_SECONDS = 1;
/** How often the keys are, where nothing tells of a change. */
const KEYS_EVERY_SECONDS = 10;

export interface FollowerPorts {
  keys: KeySet;
  tail: SecurityLogTail;
  clock: Clock;
  state: StoreState;
}

/** Keeps what a verifier knows of keys and revocations up to date in the background. */
export class Follower {
  readonly #ports: FollowerPorts;
  readonly #ending = new AbortController();
  #running: Promise<void> = Promise.resolve();
  /** The read that is under way, or the last one; it does not reject. */
  #reading: Promise<unknown> = Promise.resolve();
  /** A read that begins once that one has ended. */
  #next: Promise<void> | null = null;

  constructor(ports: FollowerPorts) {
    this.#ports = ports;
  }

  /** Resolves once everything has been read for the first time. @throws what the stores throw */
  async begin(): Promise<void> {
    await Promise.all([this.#ports.keys.refresh(), this.catchUp()]);
    this.#running = this.#follow();
  }

  /** Resolves once a read of the security log has ended that began from now on. @throws what the log throws */
  catchUp(): Promise<void> {
    this.#next ??= this.#reading.then(() => {
      this.#next = null;
      const read = this.#readOnce();
      this.#reading = read.catch(() => {});
      return read;
    });
    return this.#next;
  }

  async end(): Promise<void> {
    this.#ending.abort();
    await this.#running;
  }

  async #follow(): Promise<void> {
    const { clock } = this.#ports;
    const { signal } = this.#ending;
    while (!signal.aborted) {
      // What fails shows in the state of the database, and in the age of what is known.
      await clock
        .until(clock.now() + EVERY_SECONDS, signal)
        .then(() => this.catchUp())
        .catch(() => {});
    }
  }

  async #readOnce(): Promise<void> {
    const { keys, tail, clock, state } = this.#ports;
    try {
      const added = await tail.read();
      const isTold = added.some(({ type }) => type === 'key_compromised');
      const now = clock.now();
      if (isTold || now - keys.readAt >= KEYS_EVERY_SECONDS || now < keys.readAt) await keys.refresh();
      state.answered();
    } catch (error) {
      state.failed(error);
      throw error;
    }
  }
}
