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

  constructor(ports: FollowerPorts) {
    this.#ports = ports;
  }

  /** Resolves once everything has been read for the first time. @throws what the stores throw */
  async begin(): Promise<void> {
    const { keys, tail } = this.#ports;
    await Promise.all([keys.refresh(), tail.read()]);
    this.#running = this.#follow();
  }

  async end(): Promise<void> {
    this.#ending.abort();
    await this.#running;
  }

  async #follow(): Promise<void> {
    const { clock, state } = this.#ports;
    const { signal } = this.#ending;
    while (!signal.aborted) {
      try {
        await clock.until(clock.now() + EVERY_SECONDS, signal);
        await this.#readOnce();
        state.answered();
      } catch (error) {
        // An end, or a database that is away; a defect must not end the following in silence either, and shows in the age of what is known.
        state.failed(error);
      }
    }
  }

  async #readOnce(): Promise<void> {
    const { keys, tail, clock } = this.#ports;
    const added = await tail.read();
    const isTold = added.some(({ type }) => type === 'key_compromised');
    const now = clock.now();
    if (isTold || now - keys.readAt >= KEYS_EVERY_SECONDS || now < keys.readAt) await keys.refresh();
  }
}
