import { setTimeout as delay } from 'node:timers/promises';
import { ANNOUNCEMENT_SECONDS } from './announcement.js';
import { formatDuration } from './duration.js';
import { failureText, JwtctlError } from './errors.js';
import type { Clock, TokenRegistry, VerifierAnnouncement } from './ports.js';
import { excerpt } from './prose.js';

/** The verifiers that run, as far as one can know. */
export interface Fleet {
  verifiers: readonly VerifierAnnouncement[];
  /** Why it could not be asked; null where it was. Then `verifiers` is empty, which says nothing. */
  unasked: string | null;
}

export const NOBODY: Fleet = { verifiers: [], unasked: null };

/** What is only for the fleet's sake must not fail with it: a registry that cannot be asked is an answer, too. */
export async function askFleet(openRegistry: () => Promise<TokenRegistry>, clock: Clock): Promise<Fleet> {
  try {
    return { verifiers: await (await openRegistry()).fleet(clock.now()), unasked: null };
  } catch (error) {
    if (!(error instanceof JwtctlError)) throw error;
    return { verifiers: [], unasked: failureText(error) };
  }
}

/** The same, and no answer by then is none. */
export async function askFleetWithin(
  milliseconds: number,
  openRegistry: () => Promise<TokenRegistry>,
  clock: Clock,
): Promise<Fleet> {
  const ending = new AbortController();
  const late = delay(milliseconds, undefined, { signal: ending.signal }).then(
    (): Fleet => ({ verifiers: [], unasked: `The registry has not answered within ${milliseconds} ms.` }),
  );
  // It is aborted where the other one is first.
  late.catch(() => {});
  return Promise.race([askFleet(openRegistry, clock), late]).finally(() => ending.abort());
}

/** Those that would refuse a token under this key as unknown. */
export function withoutKey({ verifiers }: Fleet, kid: string): VerifierAnnouncement[] {
  return verifiers.filter(({ kids }) => !kids.includes(kid));
}

/** More are not named one by one. */
const MOST_NAMED = 10;

/** For a message: `api-1 (pid 4711), api-2 (pid 12)`. Their hosts have written it. */
export function nameVerifiers(verifiers: readonly VerifierAnnouncement[]): string {
  const named = verifiers.slice(0, MOST_NAMED).map(({ host, pid }) => `${excerpt(host)} (pid ${pid})`);
  const rest = verifiers.length - named.length;
  return [...named, ...(rest === 0 ? [] : [`${rest} more`])].join(', ');
}

/** For a message that names verifiers: one of them may have been killed, which nobody can tell. */
export function stoppedOnesCount({ clockToleranceSeconds }: { clockToleranceSeconds: number }): string {
  const seconds = ANNOUNCEMENT_SECONDS + clockToleranceSeconds;
  return `One that was killed counts until ${formatDuration(seconds)} after its last word.`;
}
