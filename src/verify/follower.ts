import type { Clock } from '../domain/ports.js';
import type { Announcer } from './announcer.js';
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
  announcer: Announcer;
}

/** Keeps what a verifier knows of keys and revocations up to date in the background. */
export class Follower {
  readonly #ports: FollowerPorts;
  readonly #ending = new AbortController();
  #running: Promise<unknown> = Promise.resolve();

  constructor(ports: FollowerPorts) {
    this.#ports = ports;
  }

  /**
   * Resolves once everything has been read for the first time. It is announced before: whoever waits for the fleet and does
   * not see this verifier can rely on its reading what was recorded by then.
   *
   * @throws what the database throws
   */
  async begin(): Promise<void> {
    const { keys, tail, announcer } = this.#ports;
    await announcer.tell();
    try {
      await Promise.all([keys.refresh(), tail.read()]);
    } catch (error) {
      await announcer.withdraw();
      throw error;
    }
    this.#running = Promise.all([this.#follow(), this.#keepTelling()]);
  }

  async end(): Promise<void> {
    this.#ending.abort();
    await this.#running;
    await this.#ports.announcer.withdraw();
  }

  async #follow(): Promise<void> {
    const { clock, state, announcer } = this.#ports;
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
      // Not waited for: a registry that is away must not hold up what the database tells.
      if (!signal.aborted) void announcer.tell();
    }
  }

  /** Besides: a read may take long where the database is away, and a verifier that tells nothing counts as gone. */
  async #keepTelling(): Promise<void> {
    const { clock, announcer } = this.#ports;
    const { signal } = this.#ending;
    while (!signal.aborted) {
      await announcer.tell();
      await clock.until(clock.now() + EVERY_SECONDS, signal).catch((error) => {
        if (!signal.aborted) throw error;
      });
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
