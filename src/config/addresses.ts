import { isIPv6 } from 'node:net';
import type { HostPort } from './kinds.js';

const REDIS_PORT = 6379;
const NAME = /^[A-Za-z0-9_](?:[A-Za-z0-9_.-]{0,252})$/;

/** Accepts `host`, `host:port`, `[ipv6]`, and `[ipv6]:port`. */
export function parseHostPort(text: string): HostPort | null {
  const match = /^(?:\[([^\]]*)\]|([^:[\]]*))(?::(\d{1,5}))?$/.exec(text);
  const [, address, name, digits] = match ?? [];
  const host = address ?? name ?? '';
  const port = digits === undefined ? REDIS_PORT : Number(digits);
  const isHost = address === undefined ? NAME.test(host) : isIPv6(host);
  return isHost && port >= 1 && port <= 65_535 ? { host, port } : null;
}

export function formatHostPort({ host, port }: HostPort): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
}

/** Refuses parameters, because mysql2 would apply some of them without the checks made here. */
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

/** Copies only the parts that are safe to show. */
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
