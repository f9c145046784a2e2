import { randomUUID } from 'node:crypto';
import { hostname } from 'node:os';
import { HEARTBEAT_INTERVAL_SECONDS, HEARTBEAT_SECONDS } from '../domain/fleet/heartbeat.js';
import type { Clock, Heartbeat, VerifierRoster } from '../domain/ports/index.js';
import { formatDuration } from '../domain/shared/duration.js';
import { failureText } from '../domain/shared/errors.js';
import type { KeySet } from './key-set.js';
import type { SecurityLogTail } from './security-log-tail.js';
import type { StoreState } from './store-state.js';

export interface HeartbeatSenderPorts {
  registry: VerifierRoster;
  keys: KeySet;
  tail: SecurityLogTail;
  clock: Clock;
  /** Of the registry, as far as it takes heartbeats. */
  state: StoreState;
  /** Told once that nobody hears of it any more, until somebody does again. */
  warn(text: string): void;
}

/**
 * Tells, where a command can ask for it, what a verifier has read of keys and security log. It goes on telling while the
 * database is away: what it tells stands still then, which is what whoever waits for it has to know.
 *
 * One that cannot be told is tried again a second later. No verification fails for it.
 */
export class HeartbeatSender {
  readonly #ports: HeartbeatSenderPorts;
  readonly #self: Pick<Heartbeat, 'id' | 'host' | 'pid' | 'startedAt'>;
  #telling: Promise<void> | null = null;
  #isAskedAgain = false;
  /** What was last taken in; null where that is not known. */
  #told: { at: number; knowledge: string } | null = null;
  #isSilenceTold = false;

  constructor(ports: HeartbeatSenderPorts) {
    this.#ports = ports;
    this.#self = { id: randomUUID(), host: hostname(), pid: process.pid, startedAt: ports.clock.now() };
  }

  /**
   * Tells what is new, or all of it again once it is time; one at a time, so that a later one is never overtaken.
   *
   * @returns once it was told, or could not be
   */
  tell(): Promise<void> {
    if (this.#telling === null) this.#telling = this.#tellAll();
    else this.#isAskedAgain = true;
    return this.#telling;
  }

  /** Takes it back. Where that fails it runs out by itself. */
  async deregister(): Promise<void> {
    await this.#telling;
    // Whoever did not take in the last one would only be waited for in vain.
    if (this.#told !== null) await this.#ports.registry.deregister(this.#self.id).catch(() => {});
  }

  /** What was read while one was on its way is told right after it. */
  async #tellAll(): Promise<void> {
    do {
      this.#isAskedAgain = false;
      await this.#tellIfDue();
    } while (this.#isAskedAgain);
    this.#telling = null;
  }

  async #tellIfDue(): Promise<void> {
    const { registry, keys, tail, clock, state } = this.#ports;
    const at = clock.now();
    const news = { kids: keys.trusted.map(({ kid }) => kid), log: tail.progress };
    const knowledge = JSON.stringify(news);
    const isDue =
      this.#told === null || at - this.#told.at >= HEARTBEAT_INTERVAL_SECONDS || at < this.#told.at;
    if (!isDue && this.#told?.knowledge === knowledge) return;
    try {
      await registry.report({
        ...{ ...this.#self, ...news },
        ...{ readAt: tail.readAt, at, until: at + HEARTBEAT_SECONDS },
      });
      this.#told = { at, knowledge };
      this.#isSilenceTold = false;
      state.answered(clock.now());
    } catch (error) {
      this.#told = null;
      state.failed(error);
      this.#tellSilence(error);
    }
  }

  /** What it last told counts no more: commands go on without it, and nothing else would show. */
  #tellSilence(error: unknown): void {
    const { registry, state, clock, warn } = this.#ports;
    const heardAt = state.answeredAt ?? this.#self.startedAt;
    if (this.#isSilenceTold || clock.now() - heardAt < registry.heartbeatLifetimeSeconds) return;
    this.#isSilenceTold = true;
    warn(
      `For ${formatDuration(registry.heartbeatLifetimeSeconds)} this verifier could not tell which keys and events it has read, so commands do not wait for it: ${failureText(error)}`,
    );
  }
}
