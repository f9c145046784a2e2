import { setTimeout as delay } from 'node:timers/promises';
import type { Clock, Heartbeat, VerifierRoster } from '../ports/index.js';
import { formatDuration } from '../shared/duration.js';
import { failureText, JwtctlError } from '../shared/errors.js';
import { excerpt } from '../shared/text.js';
import { heartbeatLifetime, REPORTED_AGAIN_SECONDS } from './heartbeat.js';

export interface Fleet {
  verifiers: readonly Heartbeat[];
  /** Why the registry could not be read; otherwise null. If set, `verifiers` is empty. */
  unavailableReason: string | null;
  /** The number of ignored heartbeats, which no verifier can have written. Default: 0 */
  untrusted?: number | undefined;
}

export const NO_VERIFIERS: Fleet = { verifiers: [], unavailableReason: null };

/** For display only: some may be missing if the registry has just lost heartbeats. */
export async function askFleet({ openRegistry, clock }: FleetPorts): Promise<Fleet> {
  try {
    const { verifiers, untrusted } = await (await openRegistry()).fleet(clock.now());
    return { verifiers, untrusted, unavailableReason: null };
  } catch (error) {
    return unavailableFleet(error);
  }
}

export async function askFleetWithin(milliseconds: number, ports: FleetPorts): Promise<Fleet> {
  const cancellation = new AbortController();
  const timeout = delay(milliseconds, undefined, { signal: cancellation.signal }).then(
    (): Fleet => ({
      verifiers: [],
      unavailableReason: `Redis did not respond within ${formatDuration(milliseconds / 1000)}. Run \`jwtctl cache nodes\` to find the cause, or raise the setting timeout.`,
    }),
  );
  // Rejects when aborted.
  timeout.catch(() => {});
  return Promise.race([askFleet(ports), timeout]).finally(() => cancellation.abort());
}

export const LOOK_EVERY_MS = 100;

/** If the registry keeps losing heartbeats for this time, in seconds, the list is not complete. */
const LOSING_SECONDS = 3 * REPORTED_AGAIN_SECONDS;

export interface FleetPorts {
  openRegistry(): Promise<VerifierRoster>;
  clock: Clock;
}

/**
 * Returns all running verifiers, for actions that need every one of them. Looks until all have reported,
 * which is once if the registry has kept its heartbeats long enough, or if a verifier lacks the key `kid`.
 */
export async function askWholeFleet({ openRegistry, clock }: FleetPorts, kid: string): Promise<Fleet> {
  const watch = new FleetWatch({ openRegistry, clock });
  const giveUpAt = clock.now() + LOSING_SECONDS;
  for (;;) {
    const { isWhole, ...fleet } = await watch.look();
    if (isWhole || fleet.unavailableReason !== null || withoutKey(fleet, kid).length > 0) return fleet;
    if (clock.now() >= giveUpAt) return { verifiers: [], unavailableReason: MAYBE_PARTIAL };
    await clock.pause(LOOK_EVERY_MS);
  }
}

export const MAYBE_PARTIAL =
  'The list of running verifiers may be incomplete: Redis has no recent heartbeats, or lost them.';

/**
 * Reads the fleet repeatedly, and tells whether the list is complete: after a failover, the registry may have
 * lost heartbeats. So it must have kept them for {@link REPORTED_AGAIN_SECONDS}, as it says or as this
 * process has seen. A failed look, or another loss, starts the time again.
 */
export class FleetWatch {
  readonly #ports: FleetPorts;
  /** The start of the time without a failure or loss; null before the first look. */
  #since: number | null = null;
  #keptSeconds = 0;

  constructor(ports: FleetPorts) {
    this.#ports = ports;
  }

  async look(): Promise<Fleet & { isWhole: boolean }> {
    const { openRegistry, clock } = this.#ports;
    const at = clock.now();
    try {
      const { verifiers, keptSeconds, untrusted } = await (await openRegistry()).fleet(at);
      if (this.#since === null || keptSeconds < this.#keptSeconds) this.#since = clock.now();
      this.#keptSeconds = keptSeconds;
      const isWhole = Math.max(keptSeconds, at - this.#since) >= REPORTED_AGAIN_SECONDS;
      return { verifiers, untrusted, unavailableReason: null, isWhole };
    } catch (error) {
      this.#since = null;
      return { ...unavailableFleet(error), isWhole: false };
    }
  }
}

/** A registry that does not answer must not fail the caller. */
function unavailableFleet(error: unknown): Fleet {
  if (!(error instanceof JwtctlError)) throw error;
  return { verifiers: [], unavailableReason: failureText(error) };
}

export function withoutKey({ verifiers }: Fleet, kid: string): Heartbeat[] {
  return verifiers.filter(({ kids }) => !kids.includes(kid));
}

const MOST_NAMED = 10;

/** Returns text such as `api-1 (pid 4711), api-2 (pid 12)`. Any client can write these names. */
export function nameVerifiers(verifiers: readonly Heartbeat[]): string {
  const named = verifiers.slice(0, MOST_NAMED).map(({ host, pid }) => `${excerpt(host)} (pid ${pid})`);
  const rest = verifiers.length - named.length;
  return [...named, ...(rest === 0 ? [] : [`${rest} more`])].join(', ');
}

export function killedVerifiersNote({ clockToleranceSeconds }: { clockToleranceSeconds: number }): string {
  return `A killed verifier stays listed for ${formatDuration(heartbeatLifetime(clockToleranceSeconds))} after its last heartbeat.`;
}
