import { isIPv6 } from 'node:net';
import type { HostPort } from './kinds.js';

const REDIS_PORT = 6379;
const NAME = /^[A-Za-z0-9_](?:[A-Za-z0-9_.-]{0,252})$/;

/** Reads `host`, `host:port`, `[ipv6]` or `[ipv6]:port`; null where it is none of these. The port is 1 to 65535, or 6379 where there is none. */
export function parseHostPort(text: string): HostPort | null {
  const match = /^(?:\[([^\]]*)\]|([^:[\]]*))(?::(\d{1,5}))?$/.exec(text);
  const [, address, name, digits] = match ?? [];
  const host = address ?? name ?? '';
  const port = digits === undefined ? REDIS_PORT : Number(digits);
  const isHost = address === undefined ? NAME.test(host) : isIPv6(host);
  return isHost && port >= 1 && port <= 65_535 ? { host, port } : null;
}

/** What {@link parseHostPort} reads back: `10.0.0.1:6379`, `[::1]:6379`. */
export function formatHostPort({ host, port }: HostPort): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
}

/**
 * Whether `text` is `mysql://user[:password]@host[:port]/database` (or `mariadb://…`), its parts percent-encoded where
 * need be. Parameters are refused: a driver would read some of them, and none of the rules here would know.
 */
export function isMysqlUrl(text: string): boolean {
  const url = parseUrl(text);
  if (url === null || !['mysql:', 'mariadb:'].includes(url.protocol)) return false;
  const user = decoded(url.username);
  const database = decoded(url.pathname.slice(1));
  return (
    user !== null &&
    user !== '' &&
    decoded(url.password) !== null &&
    parseHostPort(url.hostname) !== null &&
    url.port !== '0' &&
    database !== null &&
    database !== '' &&
    !database.includes('/') &&
    !/[?#\s]/.test(text)
  );
}

export function holdsPassword(mysqlUrl: string): boolean {
  return (parseUrl(mysqlUrl)?.password ?? '') !== '';
}

export function withoutPassword(mysqlUrl: string): string {
  const url = new URL(mysqlUrl);
  url.password = '';
  return url.href;
}

/** Built from the parts that may be shown, so that nothing else gets through. */
export function maskedUrl(mysqlUrl: string): string {
  const { protocol, username, password, host, pathname } = new URL(mysqlUrl);
  return `${protocol}//${username}${password === '' ? '' : ':********'}@${host}${pathname}`;
}

function parseUrl(text: string): URL | null {
  return URL.canParse(text) ? new URL(text) : null;
}

function decoded(part: string): string | null {
  try {
    return decodeURIComponent(part);
  } catch {
    return null;
  }
}
