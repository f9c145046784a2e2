import { isIPv4, isIPv6 } from 'node:net';

export interface HostPort {
  /** IPv6 without brackets. */
  readonly host: string;
  readonly port: number;
}

const REDIS_PORT = 6379;
const NAME = /^[A-Za-z0-9_](?:[A-Za-z0-9_-]|\.(?!\.)){0,252}$/;

/** Accepts `host`, `host:port`, `[ipv6]`, and `[ipv6]:port`. */
export function parseHostPort(text: string, defaultPort = REDIS_PORT): HostPort | null {
  const match = /^(?:\[([^\]]*)\]|([^:[\]]*))(?::(\d{1,5}))?$/.exec(text);
  const [, address, name, digits] = match ?? [];
  const host = address ?? name ?? '';
  const port = digits === undefined ? defaultPort : Number(digits);
  const isHost = address === undefined ? isName(host) : isIPv6(host);
  return isHost && port >= 1 && port <= 65_535 ? { host, port } : null;
}

/** A name whose last label is a number would be taken for an IPv4 address. */
function isName(host: string): boolean {
  return NAME.test(host) && (!LOOKS_LIKE_IPV4.test(host) || isIPv4(host));
}

const LOOKS_LIKE_IPV4 = /^(?:.*\.)?\d+\.?$/;

/** Says why {@link parseHostPort} refuses a text. */
export function hostProblem(text: string): string {
  const [, host = '', rest = ''] = /^([\w.-]*)(.*)$/s.exec(text) ?? [];
  if (host !== '' && LOOKS_LIKE_IPV4.test(host) && !isIPv4(host))
    return 'has a host that is not a complete IPv4 address';
  if (host.includes('..')) return 'has a host with two dots in a row';
  if (host !== '' && rest.startsWith(':')) return 'has a port that is not a number from 1 to 65535';
  return 'has a host that is neither a name nor an IP address (IPv6 in brackets)';
}

export function formatHostPort({ host, port }: HostPort): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
}
