import { isIPv6 } from 'node:net';

export interface HostPort {
  /** IPv6 without brackets. */
  readonly host: string;
  readonly port: number;
}

const REDIS_PORT = 6379;
const NAME = /^[A-Za-z0-9_](?:[A-Za-z0-9_.-]{0,252})$/;

/** Accepts `host`, `host:port`, `[ipv6]`, and `[ipv6]:port`. */
export function parseHostPort(text: string, defaultPort = REDIS_PORT): HostPort | null {
  const match = /^(?:\[([^\]]*)\]|([^:[\]]*))(?::(\d{1,5}))?$/.exec(text);
  const [, address, name, digits] = match ?? [];
  const host = address ?? name ?? '';
  const port = digits === undefined ? defaultPort : Number(digits);
  const isHost = address === undefined ? NAME.test(host) : isIPv6(host);
  return isHost && port >= 1 && port <= 65_535 ? { host, port } : null;
}

export function formatHostPort({ host, port }: HostPort): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
}
