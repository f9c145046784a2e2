import { setTimeout as delay } from 'node:timers/promises';
import type { Clock, Heartbeat, TokenRegistry } from '../ports/index.js';
import { formatDuration } from '../shared/duration.js';
import { failureText, JwtctlError } from '../shared/errors.js';
import { excerpt } from '../shared/text.js';
import { heartbeatLifetime, REPORTED_AGAIN_SECONDS } from './heartbeat.js';

/** The verifiers that run, as far as one can know. */
export interface Fleet {
  verifiers: readonly Heartbeat[];
  /** Why it could not be asked; null where it was. Then `verifiers` is empty, which says nothing. */
  unavailableReason: string | null;
  /** How many heartbeats were ignored because no verifier can have written them. Default: 0. */
  untrusted?: number | undefined;
}

export const NO_VERIFIERS: Fleet = { verifiers: [], unavailableReason: null };

/** Those that the registry has now, for what is only shown: of a registry that has just lost them some may be missing. */
export async function askFleet({ openRegistry, clock }: FleetPorts): Promise<Fleet> {
  try {
    const { verifiers, untrusted } = await (await openRegistry()).fleet(clock.now());
    return { verifiers, untrusted, unavailableReason: null };
  } catch (error) {
    return notAsked(error);
  }
}

/** The same, and no answer by then is none. */
export async function askFleetWithin(milliseconds: number, ports: FleetPorts): Promise<Fleet> {
  const lateness = new AbortController();
  const late = delay(milliseconds, undefined, { signal: lateness.signal }).then(
    (): Fleet => ({
      verifiers: [],
      unavailableReason: `The registry has not answered within ${milliseconds} ms.`,
    }),
  );
  // It is aborted where the other one is first.
  late.catch(() => {});
  return Promise.race([askFleet(ports), late]).finally(() => lateness.abort());
}

/** How often the fleet is looked at, in milliseconds. */
export const LOOK_EVERY_MS = 100;

/** After so many seconds in which the registry has lost again and again what verifiers tell, it cannot be asked. */
const LOSING_SECONDS = 3 * REPORTED_AGAIN_SECONDS;

export interface FleetPorts {
  openRegistry(): Promise<TokenRegistry>;
  clock: Clock;
}

/**
 * All verifiers that run, for what must not be done without one of them. It asks once where the registry has kept what
 * they tell for long enough, and where one of those that it has lacks the key already; else it looks for as long as they
 * need to tell it again.
 *
 * @param kid the key that all of them are to have
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

/** Why nothing can be said of a fleet that may not be whole. */
export const MAYBE_PARTIAL =
  'Nobody had told the registry of a verifier a moment ago, or it has lost it, so that one which runs may be missing.';

/**
 * Looks at the fleet time and again, and says whether it is all of it.
 *
 * A registry that has lost what verifiers told, in a failover or a restart, has a part of them at first, or nobody: neither
 * who it has nor how many says which. What counts is for how long it has kept what it was told, by itself or, where it
 * cannot say so, by looks of ours: within {@link REPORTED_AGAIN_SECONDS} everybody who runs has told it. A look that fails, and
 * one that finds it has lost something meanwhile, begin anew.
 */
export class FleetWatch {
  readonly #ports: FleetPorts;
  /** Since when it has been looked at without a failure or a loss; null before. */
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
      return { ...notAsked(error), isWhole: false };
    }
  }
}

/** What is only for the fleet's sake must not fail with it: a registry that cannot be asked is an answer, too. */
function notAsked(error: unknown): Fleet {
  if (!(error instanceof JwtctlError)) throw error;
  return { verifiers: [], unavailableReason: failureText(error) };
}

/** Those that would refuse a token under this key as unknown. */
export function withoutKey({ verifiers }: Fleet, kid: string): Heartbeat[] {
  return verifiers.filter(({ kids }) => !kids.includes(kid));
}

/** More are not named one by one. */
const MOST_NAMED = 10;

/** For a message: `api-1 (pid 4711), api-2 (pid 12)`. Their hosts have written it. */
export function nameVerifiers(verifiers: readonly Heartbeat[]): string {
  const named = verifiers.slice(0, MOST_NAMED).map(({ host, pid }) => `${excerpt(host)} (pid ${pid})`);
  const rest = verifiers.length - named.length;
  return [...named, ...(rest === 0 ? [] : [`${rest} more`])].join(', ');
}

/** For a message that names verifiers: one of them may have been killed, which nobody can tell. */
export function stoppedOnesCount({ clockToleranceSeconds }: { clockToleranceSeconds: number }): string {
  return `One that was killed counts until ${formatDuration(heartbeatLifetime(clockToleranceSeconds))} after its last word.`;
}
