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
 * - `plain`: may stand anywhere
 * - `secret`: masked in all output, and has no flag
 * - `command`: runs with the rights of the account that runs jwtctl, so it has no flag either
 */
export type SettingClass = 'plain' | 'secret' | 'command';

interface Declaration {
  readonly kind: Kind;
  /** The default, as one would write it. Without one the setting is null until it is set. */
  readonly fallback?: string;
  readonly class?: SettingClass;
  /** Whether a command may hold secrets itself, and is masked like one. */
  readonly masked?: true;
  /** Where it is not the path in capitals. */
  readonly variable?: string;
  /** Whether a project file may set it. */
  readonly inProjectFile?: true;
  /** Settings that name the same, of which the one from the strongest source counts. */
  readonly alternative?: string;
  readonly doc: string;
}

const DAY_SECONDS = 86_400;
const LINE = pattern(/^[^\p{Cc}]{1,1024}$/u, 'one line of text, not empty');
const PREFIX = pattern(/^[\w.:-]{0,63}[\w.-]$/, '1 to 64 of A-Z a-z 0-9 . _ : -, the last one no colon');
const TABLE = pattern(
  /^(?:[\w$]{1,64}\.)?[\w$]{1,64}$/,
  "a table's name, or schema.table, of A-Z a-z 0-9 _ $",
);
// A question mark would stand for a value that nobody gives.
const CONDITION = pattern(/^[^?]{1,4096}$/, 'an SQL condition without a question mark');
const COOKIE = pattern(/^[\w!#$%&'*+.^`|~-]{1,128}$/, "a cookie's name (RFC 6265 §4.1.1)");
const COLUMN = pattern(/^[\w$]{1,64}$/, "a column's name, of A-Z a-z 0-9 _ $");

/** Every setting, once. What else is known of it (variable, flag, types, documentation) follows from here. */
const DECLARATIONS = {
  timeout: {
    // Above 24 days a timer of Node fires at once.
    kind: duration(DAY_SECONDS),
    fallback: '5s',
    doc: 'How long connecting and each call of a store may take.',
  },
  'mysql.url': {
    kind: mysqlUrl,
    inProjectFile: true,
    doc: 'The MySQL or MariaDB database that holds keys, users and logs.',
  },
  'mysql.passwordFile': { kind: path, doc: "A file with the MySQL account's password." },
  'mysql.tls.enabled': {
    kind: boolean,
    fallback: 'false',
    doc: "Whether to reach MySQL over TLS. By itself with the system's CAs; true where one of mysql.tls.ca, cert or key is set.",
  },
  'mysql.tls.ca': { kind: path, doc: 'PEM file of the CAs that may have signed the certificate of MySQL.' },
  'mysql.tls.cert': { kind: path, doc: 'PEM file of the client certificate for MySQL.' },
  'mysql.tls.key': { kind: path, doc: "PEM file of the client certificate's private key for MySQL." },
  'redis.nodes': {
    kind: nodes,
    inProjectFile: true,
    doc: 'Some nodes of the Redis Cluster that holds the token registry; the rest is discovered.',
  },
  'redis.mode': {
    kind: oneOf('cluster', 'standalone'),
    fallback: 'cluster',
    inProjectFile: true,
    doc: 'Whether redis.nodes leads to a cluster or is one server.',
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
    doc: "Whether to reach Redis over TLS. By itself with the system's CAs; true where one of redis.tls.ca, cert or key is set.",
  },
  'redis.tls.ca': { kind: path, doc: 'PEM file of the CAs that may have signed the certificates of Redis.' },
  'redis.tls.cert': { kind: path, doc: 'PEM file of the client certificate for Redis.' },
  'redis.tls.key': { kind: path, doc: "PEM file of the client certificate's private key for Redis." },
  'redis.natMap': {
    kind: natMap,
    doc: 'Where to reach a node that the cluster announces under an address that cannot be reached from here.',
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
    doc: 'The SQLite file of the embedded store, used where neither MySQL nor Redis is configured.',
  },
  'masterKey.file': {
    kind: path,
    alternative: 'the master keyring',
    doc: 'The file of the master keyring: a base64 256-bit key a line, the first seals, all open.',
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
  'token.issuer': { kind: LINE, fallback: 'jwtctl', inProjectFile: true, doc: 'The iss of every token.' },
  'token.audience': {
    kind: LINE,
    fallback: 'user',
    inProjectFile: true,
    doc: 'The aud of a token for which none is given, and the one that verifying expects.',
  },
  'token.ttl': {
    kind: duration(),
    fallback: '1h',
    inProjectFile: true,
    doc: 'The lifetime of a token if none is given.',
  },
  'token.maxTtl': {
    kind: duration(),
    fallback: '24h',
    doc: 'The longest lifetime that a token can be given.',
  },
  'token.clockTolerance': {
    kind: duration(),
    fallback: '5s',
    doc: "How far the clocks of issuers and verifiers may differ when a token's times are checked.",
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
    doc: 'How long a key stands in the JWK Set before it signs; at least as long as verifiers keep the set.',
  },
  'users.source': {
    kind: oneOf('managed', 'table', 'off'),
    fallback: 'managed',
    doc: 'Where users are kept: by jwtctl, in a table of yours, or nowhere (a token then needs no user).',
  },
  'users.table': { kind: TABLE, doc: 'With users.source table: the table of users.' },
  'users.column': { kind: COLUMN, doc: 'With users.source table: the column that holds the subject.' },
  'users.enabledWhere': {
    kind: CONDITION,
    class: 'command',
    doc: 'With users.source table: an SQL condition that holds for the users who are enabled; without it all are.',
  },
  'users.statusTtl': {
    kind: duration(),
    fallback: '60s',
    doc: "How long a user's status may be trusted before the database is asked again.",
  },
  'verifier.nearCache': {
    kind: boolean,
    fallback: 'false',
    doc: 'Whether a long-running verifier keeps verdicts in its process, which the registry takes back.',
  },
  'verifier.rememberedTokens': {
    kind: integer(1, 10_000_000),
    fallback: '20000',
    doc: 'How many tokens a long-running verifier remembers the signatures of; each takes some 2 KB.',
  },
  'verifier.grace': {
    kind: duration(),
    fallback: '5m',
    doc: 'How long a long-running verifier goes by the keys and users that it knows while the database does not answer; at least 10s.',
  },
  'registry.maxPerSubject': {
    kind: integer(1, 1_000_000),
    doc: 'How many live tokens a subject can have; the oldest makes room.',
  },
  'serve.host': {
    kind: LINE,
    fallback: '127.0.0.1',
    doc: 'The address that the server listens on; it speaks plain HTTP.',
  },
  'serve.port': {
    kind: integer(0, 65_535),
    fallback: '8787',
    doc: 'The port that the server listens on; 0 takes a free one, which the log names.',
  },
  'serve.workers': {
    kind: integer(1, 256),
    fallback: '1',
    doc: 'How many processes share the port.',
  },
  'serve.cookie': {
    kind: COOKIE,
    doc: 'The cookie that a token is taken from where no Authorization header holds one.',
  },
  'serve.drain': {
    kind: duration(3600),
    fallback: '3s',
    doc: 'How long a server that is told to stop says so and goes on taking requests before it closes its port.',
  },
  'serve.logLevel': {
    kind: oneOf('debug', 'info', 'warn', 'error'),
    fallback: 'info',
    doc: 'From info on the server logs what it refuses, from error on what fails, with debug also what it accepts.',
  },
  'serve.introspection.clientId': {
    kind: LINE,
    doc: 'The client that may introspect tokens; without it and its secret nobody may.',
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

/** `token.maxTtl`, `redis.nodes` … */
export type SettingPath = keyof Declarations;

/**
 * The settings in force, nested: `settings.token.maxTtl`. Durations are whole seconds, paths absolute, and what is
 * neither set nor has a default is null.
 */
export type Settings = Nest<{
  readonly [Path in SettingPath]: Declarations[Path] extends { fallback: string }
    ? ValueOf<Declarations[Path]['kind']>
    : ValueOf<Declarations[Path]['kind']> | null;
}>;

/** Settings as a program gives them: every one optional, durations as text or seconds. */
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
  /** `--token-max-ttl`; null for secrets and commands. */
  readonly flag: string | null;
  readonly alternative: string | null;
  readonly inProjectFile: boolean;
  readonly doc: string;
}

/** In the order in which they are shown. */
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

/** `token.maxTtl` is `token`, `max`, `ttl`. */
function words(name: string): string[] {
  return name.replace(/[A-Z]/g, '.$&').toLowerCase().split('.');
}
