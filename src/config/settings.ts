import { SIGNING_ALGORITHMS } from '../domain/model/signing-key.js';
import {
  boolean,
  duration,
  type InputOf,
  integer,
  type Kind,
  mysqlUrl,
  natMap,
  nodes,
  oneOf,
  path,
  pattern,
  text,
  type ValueOf,
} from './kinds.js';
import type { Nest, NestOptional } from './nesting.js';

/**
 * - `plain`: allowed in every source
 * - `secret`: masked in all output, and has no flag
 * - `command`: runs with the rights of the account that runs jwtctl, so it has no flag either
 */
export type SettingClass = 'plain' | 'secret' | 'command';

interface Declaration {
  readonly kind: Kind;
  /** The default, written as in a file. Without one, the setting is null until it is set. */
  readonly fallback?: string;
  readonly class?: SettingClass;
  /** Masked in all output although its class is not `secret`, because a command line may contain secrets. */
  readonly masked?: true;
  /** Set if it differs from the path in upper case. */
  readonly variable?: string;
  readonly inProjectFile?: true;
  /** The value that several settings set. The one from the strongest source is used. */
  readonly alternative?: string;
  readonly doc: string;
}

const DAY_SECONDS = 86_400;
const LINE = pattern(/^[^\p{Cc}]{1,1024}$/u, 'one line of text, not empty');
const PREFIX = pattern(/^[\w.:-]{0,63}[\w.-]$/, '1 to 64 of A-Z a-z 0-9 . _ : -, not ending with a colon');
const TABLE = pattern(
  /^(?:[\w$]{1,64}\.)?[\w$]{1,64}$/,
  "a table's name, or schema.table, of A-Z a-z 0-9 _ $",
);
// A question mark would be a placeholder without a value.
const CONDITION = pattern(/^[^?]{1,4096}$/, 'an SQL condition without a question mark');
const COOKIE = pattern(/^[\w!#$%&'*+.^`|~-]{1,128}$/, "a cookie's name (RFC 6265 §4.1.1)");
const COLUMN = pattern(/^[\w$]{1,64}$/, "a column's name, of A-Z a-z 0-9 _ $");

/** Every setting, once. Variables, flags, and types derive from this. */
const DECLARATIONS = {
  timeout: {
    // Node fires timers of more than 24 days at once.
    kind: duration(DAY_SECONDS),
    fallback: '5s',
    doc: 'The time limit for connecting to a store and for each call to it.',
  },
  'mysql.url': {
    kind: mysqlUrl,
    inProjectFile: true,
    doc: 'The MySQL or MariaDB database with the keys, users, and logs.',
  },
  'mysql.passwordFile': { kind: path, doc: "A file with the MySQL account's password." },
  'mysql.tls.enabled': {
    kind: boolean,
    fallback: 'false',
    doc: "Whether to use TLS for MySQL. Trusts the system's CAs unless mysql.tls.ca is set; on if mysql.tls.ca, cert, or key is set.",
  },
  'mysql.tls.ca': { kind: path, doc: 'PEM file of the CAs to trust for MySQL.' },
  'mysql.tls.cert': { kind: path, doc: 'PEM file of the client certificate for MySQL.' },
  'mysql.tls.key': { kind: path, doc: "PEM file of the client certificate's private key for MySQL." },
  'redis.nodes': {
    kind: nodes,
    inProjectFile: true,
    doc: 'Some nodes of the Redis Cluster with the token registry; jwtctl discovers the others.',
  },
  'redis.mode': {
    kind: oneOf('cluster', 'standalone'),
    fallback: 'cluster',
    inProjectFile: true,
    doc: 'Whether redis.nodes is a cluster or a single server.',
  },
  'redis.username': { kind: LINE, doc: 'The ACL user for Redis.' },
  'redis.password': {
    kind: text,
    class: 'secret',
    alternative: 'the Redis password',
    doc: 'The password for Redis.',
  },
  'redis.passwordFile': {
    kind: path,
    alternative: 'the Redis password',
    doc: 'A file with the password for Redis.',
  },
  'redis.tls.enabled': {
    kind: boolean,
    fallback: 'false',
    doc: "Whether to use TLS for Redis. Trusts the system's CAs unless redis.tls.ca is set; on if redis.tls.ca, cert, or key is set.",
  },
  'redis.tls.ca': { kind: path, doc: 'PEM file of the CAs to trust for Redis.' },
  'redis.tls.cert': { kind: path, doc: 'PEM file of the client certificate for Redis.' },
  'redis.tls.key': { kind: path, doc: "PEM file of the client certificate's private key for Redis." },
  'redis.natMap': {
    kind: natMap,
    doc: 'The reachable addresses of nodes that announce an unreachable address.',
  },
  'redis.prefix': {
    kind: PREFIX,
    fallback: 'jwt',
    inProjectFile: true,
    doc: 'The prefix of all key names in Redis.',
  },
  data: {
    kind: path,
    fallback: '$XDG_DATA_HOME/jwtctl/jwtctl.db',
    doc: 'The SQLite file of the embedded store, used if neither MySQL nor Redis is configured.',
  },
  'masterKey.file': {
    kind: path,
    alternative: 'the master keyring',
    doc: 'The file with the master keyring: one base64 256-bit key per line. The first seals; all open.',
  },
  'masterKey.command': {
    kind: text,
    class: 'command',
    masked: true,
    alternative: 'the master keyring',
    doc: 'A command that prints the master keyring.',
  },
  'masterKey.value': {
    kind: text,
    class: 'secret',
    variable: 'JWTCTL_MASTER_KEY',
    alternative: 'the master keyring',
    doc: 'The master keyring itself.',
  },
  'token.issuer': {
    kind: LINE,
    fallback: 'jwtctl',
    inProjectFile: true,
    doc: 'The iss claim of every token.',
  },
  'token.audience': {
    kind: LINE,
    fallback: 'user',
    inProjectFile: true,
    doc: 'The default aud claim of a token, and the one that verification requires.',
  },
  'token.ttl': {
    kind: duration(),
    fallback: '1h',
    inProjectFile: true,
    doc: 'The default lifetime of a token.',
  },
  'token.maxTtl': {
    kind: duration(),
    fallback: '24h',
    doc: 'The longest lifetime that a token can have.',
  },
  'token.clockTolerance': {
    kind: duration(),
    fallback: '5s',
    doc: 'How much the clocks of issuers, verifiers, and stores may differ.',
  },
  'keys.bits': {
    kind: integer(2048, 8192),
    fallback: '2048',
    inProjectFile: true,
    doc: 'The modulus length of a new RSA key.',
  },
  'keys.algorithm': {
    kind: oneOf(...SIGNING_ALGORITHMS),
    fallback: 'RS256',
    inProjectFile: true,
    doc: 'The signature algorithm (alg) of a new key.',
  },
  'keys.rotateAfter': {
    kind: duration(),
    fallback: '30d',
    inProjectFile: true,
    doc: 'The age at which the active key is due for rotation.',
  },
  'keys.publishLead': {
    kind: duration(),
    fallback: '10m',
    inProjectFile: true,
    doc: 'How long a key is in the JWK Set before it signs; at least as long as verifiers cache the set.',
  },
  'users.source': {
    kind: oneOf('managed', 'table', 'off'),
    fallback: 'managed',
    doc: "Where users are stored: jwtctl's own table (managed), a table of yours (table), or nowhere (off; tokens need no user).",
  },
  'users.table': { kind: TABLE, doc: 'With users.source table: the table of users.' },
  'users.column': { kind: COLUMN, doc: 'With users.source table: the column with the subject.' },
  'users.enabledWhere': {
    kind: CONDITION,
    class: 'command',
    doc: 'With users.source table: an SQL condition that is true for enabled users. Default: all are enabled.',
  },
  'users.statusTtl': {
    kind: duration(),
    fallback: '60s',
    doc: "How long a user's status is used before the database is asked again.",
  },
  'verifier.nearCache': {
    kind: boolean,
    fallback: 'false',
    doc: 'Whether a long-running verifier keeps verdicts in memory until Redis invalidates them.',
  },
  'verifier.rememberedTokens': {
    kind: integer(1, 10_000_000),
    fallback: '20000',
    doc: 'How many checked signatures a long-running verifier remembers, about 2 KB each.',
  },
  'verifier.grace': {
    kind: duration(),
    fallback: '5m',
    doc: 'How long a long-running verifier uses the keys and users that it knows while the database does not answer; at least 10s.',
  },
  'registry.maxPerSubject': {
    // One atomic script looks at all of them when another is registered.
    kind: integer(1, 10_000),
    doc: 'How many live tokens a subject can have; a new token removes the oldest.',
  },
  'serve.host': {
    kind: LINE,
    fallback: '127.0.0.1',
    doc: 'The address that the server listens on, with plain HTTP.',
  },
  'serve.port': {
    kind: integer(0, 65_535),
    fallback: '8787',
    doc: 'The port that the server listens on; 0 selects a free port and logs it.',
  },
  'serve.workers': {
    kind: integer(1, 256),
    fallback: '1',
    doc: 'How many processes share the port.',
  },
  'serve.cookie': {
    kind: COOKIE,
    doc: 'The cookie that may contain the token if the request has no Authorization header with one.',
  },
  'serve.drain': {
    kind: duration(3600),
    fallback: '3s',
    doc: 'How long a stopping server reports "not ready" and still takes requests before it closes its port.',
  },
  'serve.logLevel': {
    kind: oneOf('debug', 'info', 'warn', 'error'),
    fallback: 'info',
    doc: 'What the server logs: failures (error), also refusals (info), also accepted requests (debug).',
  },
  'serve.introspection.clientId': {
    kind: LINE,
    doc: 'The client that may introspect tokens. Introspection is off without it and its secret.',
  },
  'serve.introspection.secret': {
    kind: text,
    class: 'secret',
    alternative: 'the introspection secret',
    doc: "The introspecting client's secret.",
  },
  'serve.introspection.secretFile': {
    kind: path,
    alternative: 'the introspection secret',
    doc: "A file with the introspecting client's secret.",
  },
} as const satisfies Record<string, Declaration>;

type Declarations = typeof DECLARATIONS;

export type SettingPath = keyof Declarations;

/**
 * The effective settings, nested: `settings.token.maxTtl`. Durations are whole seconds, and paths are
 * absolute. A setting that is not set and has no default is null.
 */
export type Settings = Nest<{
  readonly [Path in SettingPath]: Declarations[Path] extends { fallback: string }
    ? ValueOf<Declarations[Path]['kind']>
    : ValueOf<Declarations[Path]['kind']> | null;
}>;

/** Settings as a program passes them: all optional, durations as text or seconds. */
export type SettingsInput = NestOptional<{
  readonly [Path in SettingPath]: InputOf<Declarations[Path]['kind']>;
}>;

export interface Setting {
  readonly path: SettingPath;
  readonly kind: Kind;
  readonly fallback: string | null;
  readonly class: SettingClass;
  readonly masked: boolean;
  readonly variable: string;
  readonly flag: string | null;
  readonly alternative: string | null;
  readonly inProjectFile: boolean;
  readonly doc: string;
}

export const SETTINGS: readonly Setting[] = Object.entries<Declaration>(DECLARATIONS).map(
  ([name, declared]) => ({
    path: name as SettingPath,
    kind: declared.kind,
    fallback: declared.fallback ?? null,
    class: declared.class ?? 'plain',
    masked: declared.masked === true || declared.class === 'secret',
    variable: declared.variable ?? `JWTCTL_${words(name).join('_').toUpperCase()}`,
    flag: (declared.class ?? 'plain') === 'plain' ? `--${words(name).join('-')}` : null,
    alternative: declared.alternative ?? null,
    inProjectFile: declared.inProjectFile === true,
    doc: declared.doc,
  }),
);

const BY_PATH = new Map<string, Setting>(SETTINGS.map((setting) => [setting.path, setting]));

export function settingOf(name: SettingPath): Setting;
export function settingOf(name: string): Setting | undefined;
export function settingOf(name: string): Setting | undefined {
  return BY_PATH.get(name);
}

/** Splits `token.maxTtl` into `token`, `max`, `ttl`. */
function words(name: string): string[] {
  return name.replace(/[A-Z]/g, '.$&').toLowerCase().split('.');
}
