export interface HostPort {
  readonly host: string;
  readonly port: number;
}

/** Formats `host:port`, with IPv6 addresses in brackets. */
export function formatNode({ host, port }: HostPort): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
}

/** Parses ioredis's form of `host:port`, which has no brackets around IPv6 addresses. */
export function parseKey(key: string): HostPort {
  const colon = key.lastIndexOf(':');
  return { host: key.slice(0, colon), port: Number(key.slice(colon + 1)) };
}

/** Whether the cluster advertised a host. If it does not know one, it sends null, an empty string, or `?`. */
export function isKnownHost(host: unknown): host is string {
  return typeof host === 'string' && host !== '' && host !== '?';
}
