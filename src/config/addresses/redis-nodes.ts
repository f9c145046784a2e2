import { isIPv6 } from 'node:net';
import {
  AddressProblem,
  decodePart,
  type Pair,
  readParameters,
  readQuery,
  readUserinfo,
  splitUserinfo,
} from './address-parts.js';
import { assertAddress } from './assert-address.js';
import { type HostPort, hostProblem, parseHostPort } from './host-port.js';

export interface RedisNodes {
  readonly nodes: readonly HostPort[];
  /** These are null if the addresses do not decide them. */
  readonly username: string | null;
  readonly password: string | null;
  readonly tls: true | null;
  readonly mode: 'cluster' | 'sentinel' | null;
  readonly sentinelMaster: string | null;
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
    for (const part of ['username', 'password', 'tls', 'mode', 'sentinelMaster'] as const) {
      if (other[part] !== first[part])
        throw new AddressProblem(
          'has URLs with different users, passwords, schemes, or masters; they must agree',
        );
    }
  }
  return { ...first, nodes: parts.flatMap(({ nodes }) => nodes) };
}

type Part = RedisNodes & { readonly isUrl: boolean };

const FORM = 'host:port,… or redis://[user:password@]host:port (rediss:// with TLS)';
const UNIX_SOCKET = 'is a Unix socket, which jwtctl does not support for Redis; write host:port';
const SRV = 'finds its hosts with SRV records, which jwtctl does not read; write host:port,…';
const PLAIN = { username: null, password: null, tls: null, mode: null, sentinelMaster: null };
const SENTINEL_PORT = 26379;
/** The parameters of several libraries for the name of the master. */
const MASTER = [
  ...['sentinelmasterid', 'sentinelmastername', 'sentinelmaster', 'sentinelservice'],
  ...['mastername', 'master', 'servicename'],
];

/**
 * Commas, semicolons, and white space separate nodes. In a URL they may belong to the password, unless another URL starts
 * after them.
 */
function splitList(text: string): readonly string[] {
  if (/^\s*\[\s*["{]/.test(text)) return fromJson(text);
  // Symfony leaves out the slashes: `redis:user:password@?host[a:1]&host[b:2]`.
  const list = text.replace(/[,;\s]+$/, '').replace(/^\s*(rediss?):(?=[^/?@]*@?\?)/, '$1://');
  if (/:\/\//.test(list)) return list.split(/[,;\s]\s*(?=[\w+.-]+:\/\/)/);
  const parts = list.split(/[,;\s]+/);
  // Options of another library, a password, or quotes: the part that is wrong is named.
  return parts.every((part) => parseHostPort(withoutBusPort(part)) !== null) ? parts : list.split(',');
}

/** `["a:1"]`, and `[{"host":"a","port":1}]` of ioredis. */
function fromJson(text: string): readonly string[] {
  const problem = 'is JSON that is not a list of hosts and ports; write host:port,…';
  let items: unknown;
  try {
    items = JSON.parse(text);
  } catch {
    throw new AddressProblem(problem);
  }
  return (items as unknown[]).map((item) => {
    if (typeof item === 'string') return item;
    const { host, port = '6379', ...others } = (item ?? {}) as Record<string, unknown>;
    if (typeof host !== 'string' || Object.keys(others).length > 0) throw new AddressProblem(problem);
    return `${isIPv6(host) ? `[${host}]` : host}:${port}`;
  });
}

/** `CLUSTER NODES` writes `host:port@busport`. */
function withoutBusPort(text: string): string {
  return text.replace(/^([\w.-]+:\d{1,5}|\[[\da-f:.]+\]:\d{1,5})@\d{1,5}$/i, '$1');
}

function readPart(text: string): Part {
  assertAddress('redis', text, FORM);
  const [, scheme, rest = ''] = /^([\w+.-]+):\/\/(.*)$/s.exec(text) ?? [];
  if (scheme === undefined) return { ...PLAIN, nodes: [nodeOf(text)], isUrl: false };
  const { tls, mode } = schemeOf(scheme.toLowerCase());
  const isSentinel = mode === 'sentinel';
  const [, url = rest, fragment] = (isSentinel ? /^(.*)#([\w.-]+)$/s.exec(rest) : null) ?? [];
  const split = splitUserinfo(url, /(?:\/([^@?#]*))?/);
  if (split === null) throw new AddressProblem(`does not have the form ${FORM}`);
  const { userinfo, match } = split;
  const [, hosts = '', path = '', query] = match;
  if (hosts === '' && /\D/.test(path)) throw new AddressProblem(UNIX_SOCKET);
  const accepted = ['db', 'database', ...(isSentinel ? MASTER : [])];
  const pairs = readQuery(query);
  const further = pairs.flatMap((pair) => nodeInParameter(pair) ?? []);
  const { others, ...parameters } = readParameters(
    'redis',
    pairs.filter((pair) => nodeInParameter(pair) === null),
    accepted,
  );
  const names = path.split('/').filter((name) => name !== '');
  const inPath = isSentinel && !/^\d*$/.test(names[0] ?? '') ? names.shift() : undefined;
  assertDatabase(names.join('/'), (number) => `/${number}`);
  for (const name of ['db', 'database']) assertDatabase(others.get(name), (number) => `${name}=${number}`);
  const credentials = credentialsOf(userinfo, parameters);
  const isOfLettuce = fragment !== undefined || others.has('sentinelmasterid');
  if (isSentinel && !isOfLettuce && (credentials.username ?? credentials.password) !== null) {
    throw new AddressProblem(
      'has a user or a password, which some libraries send to the Sentinels and others to Redis; remove it, and set redis.passwordFile or redis.sentinelPasswordFile',
    );
  }
  if (tls && parameters.tls === false)
    throw new AddressProblem('has parameters that turn TLS both on and off');
  return {
    nodes: [...(hosts === '' && further.length > 0 ? [] : hosts.split(',')), ...further].map((host) =>
      nodeOf(decodePart(host, 'host').trim(), isSentinel ? SENTINEL_PORT : undefined),
    ),
    ...credentials,
    tls: tls || parameters.tls === true ? true : null,
    mode,
    sentinelMaster: masterOf([fragment, inPath, ...MASTER.map((name) => others.get(name))]),
    isUrl: true,
  };
}

/** `addr=b:2` of go-redis, `endpoint=b:2`, and `host[b:2]` of Symfony. */
function nodeInParameter([name, value]: Pair): string | null {
  return name === 'addr' || name === 'endpoint' ? value : (/^host\[(.*)\]$/.exec(name)?.[1] ?? null);
}

function assertDatabase(number: string | undefined, inAddress: (number: string) => string): void {
  if (number === undefined || number === '' || number === '0') return;
  if (!/^\d{1,5}$/.test(number)) throw new AddressProblem('has a path, which jwtctl does not use; remove it');
  throw new AddressProblem(
    `selects database ${number}, but jwtctl uses only database 0; remove ${inAddress(number)} (redis.prefix keeps the keys of several programs apart)`,
  );
}

function masterOf(given: readonly (string | undefined)[]): string | null {
  const [name, ...others] = new Set(given.filter((value) => value));
  if (others.length > 0) throw new AddressProblem('has two different names for the master');
  if (name !== undefined && !/^[\w.-]+$/.test(name))
    throw new AddressProblem('has a name of the master with characters other than A-Z a-z 0-9 . _ -');
  return name ?? null;
}

function credentialsOf(userinfo: string | null, parameters: { user?: string; password?: string }) {
  if (userinfo !== null && !userinfo.includes(':')) {
    throw new AddressProblem(
      'has one word before the @, which could be a user or a password; write user:password@, or :password@ without a user',
    );
  }
  const { user, password } = readUserinfo(userinfo);
  return {
    username: user || parameters.user || null,
    password: password || parameters.password || null,
  };
}

function schemeOf(scheme: string): { tls: boolean; mode: 'cluster' | 'sentinel' | null } {
  const known = /^(?:redis|valkey)(s|\+tls|\+ssl)?(?:[-+]?(cluster|sentinel)(s)?)?$|^(?:tcp|(tls|ssl))$/.exec(
    scheme.replace(/^sentinel$/, 'redis-sentinel'),
  );
  if (known !== null) {
    const [, tls = known[3] ?? known[4], mode] = known;
    return { tls: tls !== undefined, mode: mode === 'cluster' || mode === 'sentinel' ? mode : null };
  }
  if (/socket|unix/.test(scheme)) throw new AddressProblem(UNIX_SOCKET);
  if (/^(mysql|mariadb|jdbc)/.test(scheme))
    throw new AddressProblem('is the address of MySQL; set mysql.url instead');
  if (OTHER_STORES.test(scheme))
    throw new AddressProblem(`is for ${scheme.replace(/\+.*/, '')}; jwtctl needs Redis or Valkey`);
  if (/(?:^|[+-])srv$/.test(scheme)) throw new AddressProblem(SRV);
  throw new AddressProblem(`does not begin with redis:// or rediss://; write ${FORM}`);
}

const OTHER_STORES = /^(?:memcached?|mongodb|postgres|postgresql|sqlite|nats|kafka|etcd)(?:\+\w+)?$/;

function nodeOf(text: string, defaultPort?: number): HostPort {
  const [, place = text, number] = /^([\w.-]+(?::\d+)?)\/(\d{0,5})$/.exec(text) ?? [];
  assertDatabase(number, (name) => `/${name}`);
  if (/^_[\w-]+\._(?:tcp|udp)\./i.test(text)) throw new AddressProblem(SRV);
  const node = parseHostPort(withoutBusPort(place), defaultPort);
  if (node !== null) return node;
  if (text === '') throw new AddressProblem(`names no host; write ${FORM}`);
  if (isIPv6(text)) throw new AddressProblem('has an IPv6 address without brackets; write [address]:port');
  if (/^(?:\.{0,2}\/|unix:)/.test(text)) throw new AddressProblem(UNIX_SOCKET);
  if (/^[\w.]+\s*=/.test(text))
    throw new AddressProblem(
      'has options of another library (name=value); write rediss://user:password@host:port',
    );
  if (/^(?:redis|valkey)(?:s|[+-]\w+)?\s*(?::[/:]|\/\/|:\w+:\d)|^(?:redis|valkey)s:/i.test(text))
    throw new AddressProblem(`has a scheme that does not end in ://; write ${FORM}`);
  if (/^(?:redis|valkey)s?\+\w+$/i.test(text))
    throw new AddressProblem(`is a scheme without an address; write ${FORM}`);
  if (/^:?\d{1,5}$/.test(text)) throw new AddressProblem('has a port without a host; write host:port');
  if (/^[\w.-]+[\s;]+\d{1,5}$/.test(text))
    throw new AddressProblem('has no colon between the host and the port; write host:port');
  if (text.includes('@'))
    throw new AddressProblem('has a password without a scheme; write redis://user:password@host:port');
  throw new AddressProblem(hostProblem(text));
}
