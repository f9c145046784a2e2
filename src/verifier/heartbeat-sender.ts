import { randomUUID } from 'node:crypto';
import { hostname } from 'node:os';
import { ownVersion } from '../app/version.js';
import { HEARTBEAT_INTERVAL_SECONDS, HEARTBEAT_SECONDS } from '../domain/fleet/heartbeat.js';
import type { Clock, Heartbeat, VerifierRoster } from '../domain/ports/index.js';
import { formatDuration } from '../domain/shared/duration.js';
import { failureText } from '../domain/shared/errors.js';
import type { KeyCache, KnownKey } from './key-cache.js';
import type { SecurityLogTail } from './security-log-tail.js';
import type { StoreState } from './store-state.js';

export interface HeartbeatSenderPorts {
  registry: VerifierRoster;
  keys: KeyCache;
  tail: SecurityLogTail;
  clock: Clock;
  state: StoreState;
  refusals: { readonly count: number };
  /** Called once when the last accepted heartbeat expires. */
  warn(text: string): void;
}

/** Reports loaded keys and events, even without the database, because a silent verifier counts as gone. */
export class HeartbeatSender {
  readonly #ports: HeartbeatSenderPorts;
  readonly #self: Pick<Heartbeat, 'id' | 'host' | 'pid' | 'version' | 'startedAt'>;
  #sending: Promise<void> | null = null;
  #isRequestedAgain = false;
  #last: { at: number; loaded: string } | null = null;
  #hasWarned = false;

  constructor(ports: HeartbeatSenderPorts) {
    this.#ports = ports;
    this.#self = {
      ...{ id: randomUUID(), host: hostname(), pid: process.pid, version: ownVersion() },
      startedAt: ports.clock.now(),
    };
  }

  /** Never rejects. Sends one heartbeat at a time, so that an older one cannot overwrite a newer one. */
  send(): Promise<void> {
    if (this.#sending === null) this.#sending = this.#sendAll();
    else this.#isRequestedAgain = true;
    return this.#sending;
  }

  /** Removes the heartbeat. If that fails, the heartbeat expires. */
  async deregister(): Promise<void> {
    await this.#sending;
    // Do not wait again for a registry that did not accept the last heartbeat.
    if (this.#last !== null) await this.#ports.registry.deregister(this.#self.id).catch(() => {});
  }

  async #sendAll(): Promise<void> {
    do {
      this.#isRequestedAgain = false;
      await this.#sendIfDue();
    } while (this.#isRequestedAgain);
    this.#sending = null;
  }

  async #sendIfDue(): Promise<void> {
    const { registry, keys, tail, clock, state, refusals } = this.#ports;
    const at = clock.now();
    const content = {
      kids: keys.trusted.filter(maySign).map(({ kid }) => kid),
      log: tail.progress,
      ...(keys.isBehind || tail.isBehind ? { isBehind: true } : {}),
    };
    const loaded = JSON.stringify(content);
    const isDue =
      this.#last === null || at - this.#last.at >= HEARTBEAT_INTERVAL_SECONDS || at < this.#last.at;
    if (!isDue && this.#last?.loaded === loaded) return;
    try {
      const until = at + HEARTBEAT_SECONDS;
      await registry.report({
        ...{ ...this.#self, ...content, refused: refusals.count, readAt: tail.readAt, at, until },
      });
      this.#last = { at, loaded };
      this.#hasWarned = false;
      state.answered(clock.now());
    } catch (error) {
      this.#last = null;
      state.failed(error);
      this.#warnIfExpired(error);
    }
  }

  #warnIfExpired(error: unknown): void {
    const { registry, state, clock, warn } = this.#ports;
    const acceptedAt = state.answeredAt ?? this.#self.startedAt;
    if (this.#hasWarned || clock.now() - acceptedAt < registry.heartbeatLifetimeSeconds) return;
    this.#hasWarned = true;
    warn(
      `For ${formatDuration(registry.heartbeatLifetimeSeconds)}, this verifier could not report which keys and events it has loaded, so commands do not wait for it: ${failureText(error)}`,
    );
  }
}

/** There may be thousands of other keys, and no command waits for one. */
function maySign({ state }: KnownKey): boolean {
  return state === 'pending' || state === 'active';
}
