import * as z from 'zod/mini';
import { DURATION_FORM, durationOrNull, formatDuration } from '../domain/shared/duration.js';
import { unreachable } from '../domain/shared/errors.js';
import { formatLastDay, parseLastDay } from '../domain/shared/last-day.js';
import { RESERVED_CLAIMS } from '../domain/verification/check-claims.js';
import { AddressProblem } from './addresses/address-parts.js';
import { formatHostPort, type HostPort, parseHostPort } from './addresses/host-port.js';
import { readMysqlUrl } from './addresses/mysql-url.js';
import { readRedisNodes } from './addresses/redis-nodes.js';
import { type ClientSetting, readClients, shownClient } from './serve-clients.js';
import { readHeaders } from './serve-headers.js';
import { readPolicies } from './serve-policies.js';
import type { Kind } from './setting-kinds.js';
import type { SettingPath } from './settings.js';
import { absolutePath, type Places } from './standard-paths.js';
import { StructureProblem } from './structure-problem.js';

/** Stands for a secret in output. */
export const MASK = '********';

type Implied = Readonly<Partial<Record<SettingPath, unknown>>>;

export interface Reading {
  readonly value: unknown;
  /** Values of other settings that an address contains. */
  readonly implied?: Implied;
}

/** Returns null if `raw` is invalid. {@link problemOf} says why. */
export function readValue(kind: Kind, raw: unknown, directory: string, places: Places): Reading | null {
  const absolute = (path: string) => absolutePath(path, directory, places);
  try {
    const reading = readNamingProblems(kind, raw, absolute);
    if (reading !== undefined) return reading;
  } catch (error) {
    if (isProblem(error)) return null;
    throw error;
  }
  const result = schemaOf(kind, absolute).safeParse(raw);
  return result.success ? { value: result.data } : null;
}

/** Names the part of an address or a list that is wrong; null for other values. */
export function problemOf(kind: Kind, raw: unknown, directory: string, places: Places): string | null {
  try {
    readNamingProblems(kind, raw, (path) => absolutePath(path, directory, places));
    return null;
  } catch (error) {
    if (isProblem(error)) return error.message;
    throw error;
  }
}

function isProblem(error: unknown): error is Error {
  return error instanceof AddressProblem || error instanceof StructureProblem;
}

/** Returns undefined for a value of another kind or type. */
function readNamingProblems(
  kind: Kind,
  raw: unknown,
  absolute: (path: string) => string | null,
): Reading | undefined {
  if (kind.type === 'clients') return { value: readClients(raw, absolute) };
  if (kind.type === 'headers') return { value: readHeaders(raw) };
  if (kind.type === 'policies') return { value: readPolicies(raw) };
  if (kind.type === 'mysqlUrl' && typeof raw === 'string') {
    const { url, password, tls } = readMysqlUrl(raw);
    return { value: url, implied: given({ 'mysql.password': password, 'mysql.tls.enabled': tls }) };
  }
  if (kind.type !== 'nodes' || !(typeof raw === 'string' || isTextList(raw))) return undefined;
  const { nodes, username, password, tls, mode, sentinelMaster } = readRedisNodes(raw);
  return {
    value: nodes,
    implied: given({
      ...{ 'redis.username': username, 'redis.password': password },
      ...{ 'redis.tls.enabled': tls, 'redis.mode': mode, 'redis.sentinelMaster': sentinelMaster },
    }),
  };
}

function given(implied: Implied): Implied {
  return Object.fromEntries(Object.entries(implied).filter(([, value]) => value !== null));
}

function isTextList(raw: unknown): raw is string[] {
  return Array.isArray(raw) && raw.every((item) => typeof item === 'string');
}

/** Completes "expected …". */
export function expectedOf(kind: Kind): string {
  switch (kind.type) {
    case 'text':
      return 'non-empty text';
    case 'pattern':
    case 'list':
      return kind.expected;
    case 'duration':
      return `${DURATION_FORM}, at most ${formatDuration(kind.maxSeconds)}`;
    case 'date':
      return 'a date such as 2027-03-31, or a NumericDate in seconds';
    case 'integer':
      return `a whole number from ${kind.min} to ${kind.max}`;
    case 'boolean':
      return 'true or false';
    case 'oneOf':
      return `one of ${kind.values.join(', ')}`;
    case 'path':
      return 'the path of a file';
    case 'nodes':
      return 'a list of host:port or of redis:// URLs, or text separated by commas';
    case 'natMap':
      return 'a map of host:port to host:port, or text such as 10.0.0.1:6379=203.0.113.5:7000,…';
    case 'claimColumns':
      return `a map of claims other than ${NOT_FROM_COLUMNS.join(', ')}, to columns, or text such as role=role_name,tenant=tenant_id`;
    case 'mysqlUrl':
      return 'a URL such as mysql://user[:password]@host[:port]/database';
    case 'clients':
      return 'a list of clients';
    case 'headers':
      return 'a map of headers to claims';
    case 'policies':
      return 'a map of policies';
    default:
      return unreachable(kind);
  }
}

/** Formats a value as text that {@link readValue} can read. */
export function formatValue(kind: Kind, value: unknown): string {
  switch (kind.type) {
    case 'duration':
      return formatDuration(value as number);
    case 'date':
      return formatLastDay(value as number);
    case 'nodes':
      return (value as readonly HostPort[]).map(formatHostPort).join(',');
    case 'natMap':
      return natEntries(value as Readonly<Record<string, HostPort>>)
        .map((sides) => sides.join('='))
        .join(',');
    case 'list':
      return (value as readonly string[]).join(',');
    case 'claimColumns':
      return Object.entries(value as Readonly<Record<string, string>>)
        .map((pair) => pair.join('='))
        .join(',');
    case 'clients':
    case 'headers':
    case 'policies':
      return JSON.stringify(jsonValue(kind, value));
    case 'text':
    case 'pattern':
    case 'integer':
    case 'boolean':
    case 'oneOf':
    case 'path':
    case 'mysqlUrl':
      return String(value);
    default:
      return unreachable(kind);
  }
}

/** Returns the value for JSON: seconds, numbers, and booleans unchanged, addresses as `host:port`. */
export function jsonValue(kind: Kind, value: unknown): unknown {
  if (kind.type === 'nodes') return (value as readonly HostPort[]).map(formatHostPort);
  if (kind.type === 'natMap')
    return Object.fromEntries(natEntries(value as Readonly<Record<string, HostPort>>));
  if (kind.type === 'clients')
    return (value as readonly ClientSetting[]).map((client) => shownClient(client, MASK));
  return value;
}

// Variables and flags are always text. Files and programs also pass numbers, booleans, lists, and maps.
function schemaOf(kind: Kind, absolute: (path: string) => string | null): z.ZodMiniType<unknown> {
  switch (kind.type) {
    case 'text':
      // Some drivers end a string at NUL.
      return z.string().check(z.regex(/^[^\0]+$/));
    case 'pattern':
      return z.string().check(z.regex(kind.pattern), z.refine(kind.isMeant ?? (() => true)));
    case 'duration':
      return readBy(z.union([z.string(), z.number()]), (raw) => {
        const seconds = durationOrNull(raw);
        return seconds !== null && seconds <= kind.maxSeconds ? seconds : null;
      });
    case 'date':
      return readBy(z.union([z.string(), z.number()]), (raw) => parseLastDay(String(raw)));
    case 'integer':
      return z.pipe(
        readBy(z.union([z.number(), z.string().check(z.regex(/^\d+$/))]), Number),
        z.int().check(z.minimum(kind.min), z.maximum(kind.max)),
      );
    case 'boolean':
      return readBy(z.union([z.boolean(), z.enum(['true', 'false'])]), (raw) => String(raw) === 'true');
    case 'oneOf':
      return z.enum(kind.values as [string, ...string[]]);
    case 'path':
      return readBy(z.string().check(z.regex(/^[^\0]+$/)), absolute);
    case 'natMap':
      return readBy(z.union([z.string(), z.record(z.string(), z.string())]), natMapOf);
    case 'list':
      return readBy(z.union([z.string(), z.array(z.string())]), (raw) => listOf(raw, kind.item));
    case 'claimColumns':
      return readBy(z.union([z.string(), z.record(z.string(), z.string())]), (raw) =>
        claimColumnsOf(raw, kind.column),
      );
    // Read by readNamingProblems, unless the type is wrong.
    case 'clients':
    case 'headers':
    case 'policies':
    case 'nodes':
    case 'mysqlUrl':
      return z.never();
    default:
      return unreachable(kind);
  }
}

function readBy<Raw, Value>(raw: z.ZodMiniType<Raw>, read: (raw: Raw) => Value | null): z.ZodMiniType<Value> {
  return z.pipe(
    raw,
    z.transform((given: Raw, context) => {
      const value = read(given);
      if (value !== null) return value;
      context.issues.push({ code: 'custom', input: given });
      return z.NEVER;
    }),
  ) as unknown as z.ZodMiniType<Value>;
}

/** Returns each text once. */
function listOf(raw: string | readonly string[], item: RegExp): readonly string[] | null {
  const texts = (typeof raw === 'string' ? raw.split(',') : raw).map((text) => text.trim());
  return texts.length > 0 && texts.every((text) => item.test(text)) ? [...new Set(texts)] : null;
}

/** Returns the map with ioredis's keys: `host:port`, IPv6 without brackets. */
function natMapOf(raw: string | Record<string, string>): Record<string, HostPort> | null {
  const pairs = typeof raw === 'string' ? raw.split(',').map((pair) => pair.split('=')) : Object.entries(raw);
  const map = new Map<string, HostPort>();
  for (const [inside, outside, ...rest] of pairs) {
    const from = parseHostPort((inside ?? '').trim());
    const to = parseHostPort((outside ?? '').trim());
    if (from === null || to === null || rest.length > 0) return null;
    map.set(`${from.host}:${from.port}`, to);
  }
  return Object.fromEntries(map);
}

function claimColumnsOf(raw: string | Record<string, string>, form: RegExp): Record<string, string> | null {
  const pairs = typeof raw === 'string' ? raw.split(',').map((pair) => pair.split('=')) : Object.entries(raw);
  const columns = new Map<string, string>();
  for (const [claim = '', column = '', ...rest] of pairs) {
    const isClaim = CLAIM.test(claim) && !NOT_FROM_COLUMNS.includes(claim);
    if (!isClaim || !form.test(column) || rest.length > 0 || columns.has(claim)) return null;
    columns.set(claim, column);
  }
  return Object.fromEntries(columns);
}

/** `client_id` names the client that a token is issued to, and `/revoke` compares it. */
const NOT_FROM_COLUMNS: readonly string[] = [...RESERVED_CLAIMS, 'client_id'];

/** Without the characters that separate claims in text. */
const CLAIM = /^[^\p{Cc}\s=,]{1,128}$/u;

function natEntries(map: Readonly<Record<string, HostPort>>): [string, string][] {
  return Object.entries(map).map(([key, to]) => {
    const colon = key.lastIndexOf(':');
    const from = { host: key.slice(0, colon), port: Number(key.slice(colon + 1)) };
    return [formatHostPort(from), formatHostPort(to)];
  });
}
