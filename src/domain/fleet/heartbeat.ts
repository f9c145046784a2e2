import type { Heartbeat } from '../ports/index.js';
import { JwtctlError } from '../shared/errors.js';

/** How long a heartbeat is valid, in seconds, not including the clock tolerance. */
export const HEARTBEAT_SECONDS = 10;

/** Returns how long a verifier counts as running after its last heartbeat, in seconds. */
export function heartbeatLifetime(clockToleranceSeconds: number): number {
  return HEARTBEAT_SECONDS + clockToleranceSeconds;
}

/** In seconds. */
export const HEARTBEAT_INTERVAL_SECONDS = 2;

/** After a loss, all verifiers report again within this time. Retries and whole-second clocks add 2 s. */
export const REPORTED_AGAIN_SECONDS = HEARTBEAT_INTERVAL_SECONDS + 2;

/** The longest validity of a heartbeat, in seconds, even with the largest clock tolerance. */
export const LONGEST_HEARTBEAT_SECONDS = 3_600;

export const MOST_HEARTBEAT_CHARACTERS = 32_768;

/** @throws JwtctlError `ERR_HEARTBEAT_TOO_LONG` (state), because readers ignore such a heartbeat */
export function formatHeartbeat(heartbeat: Heartbeat): string {
  const text = JSON.stringify(heartbeat);
  if (Buffer.byteLength(text) <= MOST_HEARTBEAT_CHARACTERS) return text;
  const { kids, log } = heartbeat;
  throw new JwtctlError(
    'ERR_HEARTBEAT_TOO_LONG',
    `The heartbeat of this verifier is too long: it names ${kids.length} keys and ${log.missing.length} gaps in the security log.`,
  );
}

export function oldestFirst(heartbeats: readonly Heartbeat[]): Heartbeat[] {
  return [...heartbeats].sort((a, b) => a.startedAt - b.startedAt || (a.id < b.id ? -1 : 1));
}

/** Parses a heartbeat; null if no verifier can have written it. Other clients can write to the store. */
export function parseHeartbeat(text: string): Heartbeat | null {
  if (text.length > MOST_HEARTBEAT_CHARACTERS) return null;
  const parsed = parseJson(text);
  if (!isObject(parsed) || !isObject(parsed.log)) return null;
  const { id, host, pid, version, startedAt, kids, refused = 0, readAt, at, until, isBehind } = parsed;
  const { position, missing } = parsed.log;
  const isSound =
    [id, host].every((value) => typeof value === 'string' && value !== '' && value.length <= 255) &&
    (version === undefined || (typeof version === 'string' && version.length <= 64)) &&
    [pid, startedAt, refused, at, until, position].every(isCount) &&
    Number(at) < Number(until) &&
    Number(until) - Number(at) <= LONGEST_HEARTBEAT_SECONDS &&
    (readAt === null || isCount(readAt)) &&
    isListOf(kids, (kid) => typeof kid === 'string') &&
    isListOf(missing, (range) => isListOf(range, isCount) && range.length === 2);
  if (!isSound) return null;
  const log = { position, missing };
  return {
    ...{ id, host, pid, version, startedAt, kids, log, refused, readAt, at, until },
    ...(isBehind === true ? { isBehind } : {}),
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
