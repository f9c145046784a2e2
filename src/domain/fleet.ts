import { setTimeout as delay } from 'node:timers/promises';
import { formatDuration } from './duration.js';
import { failureText, JwtctlError } from './errors.js';
import type { Clock, LogProgress, TokenRegistry, VerifierAnnouncement } from './ports.js';
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

/** For how long what a verifier tells of itself counts, in seconds. The clock tolerance comes on top. */
export const ANNOUNCEMENT_SECONDS = 10;

/** For a message that names verifiers: one of them may have been killed, which nobody can tell. */
export function stoppedOnesCount({ clockToleranceSeconds }: { clockToleranceSeconds: number }): string {
  const seconds = ANNOUNCEMENT_SECONDS + clockToleranceSeconds;
  return `One that was killed counts until ${formatDuration(seconds)} after its last word.`;
}

export interface FleetReport {
  /** How many run. */
  verifiers: number;
  /** How many of them have read the event. */
  passed: number;
  stragglers: VerifierAnnouncement[];
}

/** What came of a wait, or why nothing could be seen of the fleet. */
export type FleetPassage = FleetReport | { unasked: string };

/** How often the fleet is looked at, in milliseconds. */
const LOOK_EVERY_MS = 100;

/**
 * Waits until every verifier that runs has read this event of the security log, or `timeoutSeconds` are over.
 *
 * Ids become visible in the order of commits, so a position alone proves nothing: each verifier tells which ids it lacks
 * below its own. One that is gone has nothing to read any more; one that has just begun announces itself before it reads
 * the log, so whoever does not see it here can rely on its reading the event.
 *
 * @param eventId null where the event has expired already: nobody has to read it
 * @param options.signal once it is aborted there is no further wait
 * @returns what the last look saw, or why there was nothing to see
 */
export async function awaitPassage(
  { openRegistry, clock }: { openRegistry: () => Promise<TokenRegistry>; clock: Clock },
  eventId: number | null,
  options: { timeoutSeconds: number; signal: AbortSignal; onLook?: (report: FleetReport) => void },
): Promise<FleetPassage> {
  const giveUpAt = clock.now() + options.timeoutSeconds;
  for (;;) {
    const { verifiers, unasked } = await askFleet(openRegistry, clock);
    const stragglers = verifiers.filter(({ log }) => eventId !== null && !hasRead(log, eventId));
    const count = verifiers.length;
    const report = { verifiers: count, passed: count - stragglers.length, stragglers };
    if (unasked === null) {
      options.onLook?.(report);
      if (stragglers.length === 0) return report;
    }
    // Of whole seconds the first may be almost over.
    if (clock.now() > giveUpAt || options.signal.aborted) return unasked === null ? report : { unasked };
    await clock.pause(LOOK_EVERY_MS, options.signal).catch((error) => {
      if (!options.signal.aborted) throw error;
    });
  }
}

export function hasRead({ position, missing }: LogProgress, id: number): boolean {
  return id <= position && !missing.some(([from, to]) => from <= id && id <= to);
}

export function oldestFirst(announcements: readonly VerifierAnnouncement[]): VerifierAnnouncement[] {
  return [...announcements].sort((a, b) => a.startedAt - b.startedAt || (a.id < b.id ? -1 : 1));
}

/** What stands in a store, which others may write to; null where it is no announcement. */
export function parseAnnouncement(text: string): VerifierAnnouncement | null {
  const parsed = parseJson(text);
  if (!isObject(parsed) || !isObject(parsed.log)) return null;
  const { id, host, pid, startedAt, kids, readAt, at, until } = parsed;
  const { position, missing } = parsed.log;
  const isSound =
    [id, host].every((value) => typeof value === 'string') &&
    [pid, startedAt, at, until, position].every(Number.isSafeInteger) &&
    (readAt === null || Number.isSafeInteger(readAt)) &&
    isListOf(kids, (kid) => typeof kid === 'string') &&
    isListOf(missing, (range) => isListOf(range, Number.isSafeInteger) && range.length === 2);
  if (!isSound) return null;
  return {
    id,
    host,
    pid,
    startedAt,
    kids,
    log: { position, missing },
    readAt,
    at,
    until,
  } as VerifierAnnouncement;
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null;
}

function isListOf(value: unknown, isMember: (member: unknown) => boolean): value is unknown[] {
  return Array.isArray(value) && value.every(isMember);
}
