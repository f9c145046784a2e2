import type { Heartbeat } from '../ports/index.js';

/** For how long what a verifier tells of itself counts, in seconds. The clock tolerance comes on top. */
export const HEARTBEAT_SECONDS = 10;

/** Until then after its last word a verifier counts, in seconds; then it is gone. */
export function heartbeatLifetime(clockToleranceSeconds: number): number {
  return HEARTBEAT_SECONDS + clockToleranceSeconds;
}

/** How often a verifier tells of itself where it has nothing new to tell, in seconds. */
export const HEARTBEAT_INTERVAL_SECONDS = 2;

/**
 * So long after a registry has lost what verifiers told, all that run have told it again, in seconds: it may be a second until
 * one sees that it is time, or tries again what failed, and clocks of whole seconds take up to another.
 */
export const REPORTED_AGAIN_SECONDS = HEARTBEAT_INTERVAL_SECONDS + 2;

/** No verifier's heartbeat is valid for longer than this, in seconds, even with the largest clock tolerance. */
export const LONGEST_HEARTBEAT_SECONDS = 3_600;

/** The longest heartbeat that a verifier writes, in characters. */
export const MOST_HEARTBEAT_CHARACTERS = 32_768;

export function oldestFirst(heartbeats: readonly Heartbeat[]): Heartbeat[] {
  return [...heartbeats].sort((a, b) => a.startedAt - b.startedAt || (a.id < b.id ? -1 : 1));
}

/** Parses a heartbeat from a store that other clients may write to; null if no verifier can have written it. */
export function parseHeartbeat(text: string): Heartbeat | null {
  if (text.length > MOST_HEARTBEAT_CHARACTERS) return null;
  const parsed = parseJson(text);
  if (!isObject(parsed) || !isObject(parsed.log)) return null;
  const { id, host, pid, startedAt, kids, readAt, at, until } = parsed;
  const { position, missing } = parsed.log;
  const isSound =
    [id, host].every((value) => typeof value === 'string' && value !== '' && value.length <= 255) &&
    [pid, startedAt, at, until, position].every(isCount) &&
    Number(at) < Number(until) &&
    Number(until) - Number(at) <= LONGEST_HEARTBEAT_SECONDS &&
    (readAt === null || isCount(readAt)) &&
    isListOf(kids, (kid) => typeof kid === 'string') &&
    isListOf(missing, (range) => isListOf(range, isCount) && range.length === 2);
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
  } as Heartbeat;
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

function isCount(value: unknown): boolean {
  return Number.isSafeInteger(value) && Number(value) >= 0;
}

function isListOf(value: unknown, isMember: (member: unknown) => boolean): value is unknown[] {
  return Array.isArray(value) && value.every(isMember);
}
