import { isIPv6 } from 'node:net';
import { parseHostPort } from './addresses.js';
import {
  AddressProblem,
  assertAddress,
  decodePart,
  readParameters,
  readQuery,
  readUserinfo,
  splitUserinfo,
} from './connection-string.js';
import type { HostPort } from './kinds.js';

export interface RedisNodes {
  readonly nodes: readonly HostPort[];
  /** These are null if the addresses do not decide them. */
  readonly username: string | null;
  readonly password: string | null;
  readonly tls: true | null;
  readonly mode: 'cluster' | null;
}

/**
 * Reads `host:port,…`, and URLs.
 *
 * @throws AddressProblem naming the part that is missing or not understood
 */
export function readRedisNodes(given: string | readonly string[]): RedisNodes {
  const parts = (typeof given === 'string' ? splitList(given) : given).map((part) => readPart(part.trim()));
  const [first, ...others] = parts;
  if (first === undefined) throw new AddressProblem('is empty; write host:port,…');
  for (const other of others) {
    if (other.isUrl !== first.isUrl)
      throw new AddressProblem('mixes URLs and host:port; write all of them the same way');
    for (const part of ['username', 'password', 'tls', 'mode'] as const) {
      if (other[part] !== first[part])
        throw new AddressProblem('has URLs with different users, passwords, or schemes; they must agree');
    }
  }
  return { ...first, nodes: parts.flatMap(({ nodes }) => nodes) };
}

type Part = RedisNodes & { readonly isUrl: boolean };

const FORM = 'host:port,… or redis://[user:password@]host:port (rediss:// with TLS)';
const PLAIN = { username: null, password: null, tls: null, mode: null };

/** A comma separates nodes; one in a password does not, because no URL starts after it. */
function splitList(text: string): readonly string[] {
  return /:\/\//.test(text) ? text.split(/,\s*(?=[\w+.-]+:\/\/)/) : text.split(',');
}

function readPart(text: string): Part {
  assertAddress(text);
  const [, scheme, rest = ''] = /^([\w+.-]+):\/\/(.*)$/s.exec(text) ?? [];
  if (scheme === undefined) return { ...PLAIN, nodes: [nodeOf(text)], isUrl: false };
  const { tls, mode } = schemeOf(scheme.toLowerCase());
  const split = splitUserinfo(rest, /(?:\/([^@?#]*))?/);
  if (split === null) throw new AddressProblem(`does not have the form ${FORM}`);
  const { userinfo, match } = split;
  const [, hosts = '', path = '', query] = match;
  const { others, ...parameters } = readParameters('redis', readQuery(query), ['db', 'database']);
  const database = [path.replace(/\/$/, ''), others.get('db'), others.get('database')].find(
    (number) => number,
  );
  if (database !== undefined && database !== '0')
    throw new AddressProblem('selects a database other than 0, which no cluster has; remove its number');
  const { username, password } = credentialsOf(userinfo, parameters);
  if (tls && parameters.tls === false)
    throw new AddressProblem('has parameters that turn TLS both on and off');
  return {
    nodes: hosts.split(',').map((host) => nodeOf(decodePart(host, 'host').trim())),
    username,
    password,
    tls: tls || parameters.tls === true ? true : null,
    mode,
    isUrl: true,
  };
}

function credentialsOf(userinfo: string | null, parameters: { user?: string; password?: string }) {
  if (userinfo !== null && !userinfo.includes(':')) {
    throw new AddressProblem(
      'has one word before the @, which may be a user or a password; write user:password@, or :password@ without a user',
    );
  }
  const { user, password } = readUserinfo(userinfo);
  return {
    username: user || parameters.user || null,
    password: password || parameters.password || null,
  };
}

function schemeOf(scheme: string): { tls: boolean; mode: 'cluster' | null } {
  const match =
    /^(?:redis|valkey)(s|\+tls|\+ssl)?([-+]clusters?)?$/.exec(scheme) ?? /^(?:tcp|(tls|ssl))$/.exec(scheme);
  if (match !== null) {
    const [, secure, cluster] = match;
    return { tls: secure !== undefined, mode: cluster === undefined ? null : 'cluster' };
  }
  if (/sentinel/.test(scheme)) {
    throw new AddressProblem(
      'is for Sentinel; set redis.mode to sentinel, redis.sentinelMaster to the name of the master, and redis.nodes to host:port of each Sentinel',
    );
  }
  if (/socket|unix/.test(scheme))
    throw new AddressProblem('is a Unix socket, which jwtctl does not support for Redis; write host:port');
  if (/^https?$/.test(scheme))
    throw new AddressProblem(
      'is a web address, such as that of a REST API; use the endpoint for Redis clients',
    );
  if (/^(mysql|mariadb|jdbc)/.test(scheme))
    throw new AddressProblem('is the address of MySQL; set mysql.url instead');
  throw new AddressProblem(`does not begin with redis:// or rediss://; write ${FORM}`);
}

function nodeOf(text: string): HostPort {
  const node = parseHostPort(text);
  if (node !== null) return node;
  if (text === '') throw new AddressProblem(`names no host; write ${FORM}`);
  if (isIPv6(text)) throw new AddressProblem('has an IPv6 address without brackets; write [address]:port');
  if (text.startsWith('/'))
    throw new AddressProblem('is a Unix socket, which jwtctl does not support for Redis; write host:port');
  if (/^[\w.]+\s*=/.test(text))
    throw new AddressProblem(
      'has options of another library (name=value); write rediss://user:password@host:port',
    );
  if (text.includes('@'))
    throw new AddressProblem('has a password without a scheme; write redis://user:password@host:port');
  if (/^[\w.-]+:/.test(text)) throw new AddressProblem('has a port that is not a number from 1 to 65535');
  throw new AddressProblem('has a host that is neither a name nor an IP address (IPv6 in brackets)');
}
