import { SIGNING_ALGORITHMS } from '../domain/model/signing-key.js';
import { DAY_SECONDS } from '../domain/shared/duration.js';
import type { Nest, NestOptional } from './nested-settings.js';
import {
  boolean,
  claimColumns,
  clients,
  date,
  duration,
  headers,
  type InputOf,
  integer,
  type Kind,
  list,
  mysqlUrl,
  natMap,
  nodes,
  oneOf,
  path,
  pattern,
  policies,
  text,
  type ValueOf,
} from './setting-kinds.js';

/**
 * - `plain`: allowed in every source
 * - `secret`: masked in all output, and has no flag
 * - `command`: runs as the account that runs jwtctl, so it has no flag either
 * - `structure`: a list or a map of objects, which would be unreadable as a flag
 */
export type SettingClass = 'plain' | 'secret' | 'command' | 'structure';

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

const LINE = pattern(/^[^\p{Cc}]{1,1024}$/u, 'one line of text, not empty');
const PREFIX = pattern(/^[\w.:-]{0,63}[\w.-]$/, '1 to 64 of A-Z a-z 0-9 . _ : -, not ending with a colon');
const TABLE_PREFIX = pattern(/^[A-Za-z0-9_]{1,32}$/, '1 to 32 of A-Z a-z 0-9 _');
const TABLE = pattern(
  /^(?:[\w$]{1,64}\.)?[\w$]{1,64}$/,
  "a table's name, or schema.table, of A-Z a-z 0-9 _ $",
);
// A question mark would be a placeholder without a value.
const CONDITION = pattern(/^[^?]{1,4096}$/, 'an SQL condition without a question mark');
const COOKIE = pattern(/^[\w!#$%&'*+.^`|~-]{1,128}$/, "a cookie's name (RFC 6265 §4.1.1)");
// What a media type may have (RFC 6838 §4.2), and a slash.
const TYPES = list(/^[A-Za-z0-9][\w!#$&^.+/-]{0,126}$/, 'types separated by commas, such as JWT,at+jwt');
const PUBLIC_URL = {
  ...pattern(
    /^(?:https:\/\/|http:\/\/(?=(?:localhost|127\.0\.0\.1|\[::1\])(?:[:/]|$)))[\w.[\]-]+(?::\d{1,5})?(?:\/[^\s?#]*)?$/,
    'a URL such as https://auth.example.com, without a query; http only for this host',
  ),
  // Such as the port 99999.
  isMeant: (text: string) => URL.canParse(text),
} as const;
const COLUMN = pattern(/^[\w$]{1,64}$/, "a column's name, of A-Z a-z 0-9 _ $");

/** Every setting, once. Variables, flags, and types derive from this. */
const DECLARATIONS = {
  timeout: {
    // Node fires timers of more than 24 days at once.
    kind: duration(DAY_SECONDS),
    fallback: '5s',
    doc: 'Time limit for connecting to a store and for each call to it.',
  },
  'mysql.url': {
    kind: mysqlUrl,
    inProjectFile: true,
    doc: 'MySQL or MariaDB database with the keys, users, and logs: mysql://user[:password]@host[:port]/database, optionally with ?ssl-mode=REQUIRED or ?socket=PATH. Connection strings of JDBC, R2DBC, Go, SQLAlchemy, PDO, and ADO.NET also work. TLS always checks the certificate.',
  },
  'mysql.password': {
    kind: text,
    class: 'secret',
    alternative: 'the MySQL password',
    doc: 'Password of the MySQL account. A password in mysql.url also sets it.',
  },
  'mysql.passwordFile': {
    kind: path,
    alternative: 'the MySQL password',
    doc: 'File with the MySQL password, read again for each connection.',
  },
  'mysql.passwordCommand': {
    kind: text,
    class: 'command',
    masked: true,
    alternative: 'the MySQL password',
    doc: 'Command that prints the MySQL password, such as an IAM token. /bin/sh runs it for each connection, and once more after a refused login. It must finish within the timeout.',
  },
  'mysql.tablePrefix': {
    kind: TABLE_PREFIX,
    doc: "Prefix of the names of jwtctl's tables, for a database that other programs also use.",
  },
  'mysql.tls.enabled': {
    kind: boolean,
    fallback: 'false',
    doc: "Use TLS for MySQL. Without mysql.tls.ca, the system's CAs are trusted. Setting mysql.tls.ca, cert, or key also turns TLS on; false is then an error.",
  },
  'mysql.tls.ca': { kind: path, doc: 'PEM file with the CA certificates trusted for MySQL.' },
  'mysql.tls.cert': { kind: path, doc: 'PEM file with the client certificate for MySQL.' },
  'mysql.tls.key': { kind: path, doc: "PEM file with the client certificate's private key for MySQL." },
  'redis.nodes': {
    kind: nodes,
    inProjectFile: true,
    doc: 'Nodes of the Redis Cluster that holds the token registry: host:port,…, or redis://[user:password@]host:port (rediss:// with TLS). The other nodes are discovered. For Sentinels: redis-sentinel://host:port,…?sentinelMasterId=NAME.',
  },
  'redis.mode': {
    kind: oneOf('cluster', 'standalone', 'sentinel'),
    fallback: 'cluster',
    inProjectFile: true,
    doc: 'Whether redis.nodes names nodes of a cluster, a single server, or the Sentinels that watch a server and its replicas.',
  },
  'redis.sentinelMaster': {
    kind: LINE,
    doc: 'Name under which the Sentinels watch the master, if redis.mode is sentinel.',
  },
  'redis.sentinelPasswordFile': {
    kind: path,
    doc: 'File with the password of the Sentinels, if they require one. Read again for each connection.',
  },
  'redis.username': { kind: LINE, doc: 'Name of the ACL user for Redis.' },
  'redis.password': {
    kind: text,
    class: 'secret',
    alternative: 'the Redis password',
    doc: 'Password of the ACL user for Redis. A password in redis.nodes also sets it.',
  },
  'redis.passwordFile': {
    kind: path,
    alternative: 'the Redis password',
    doc: 'File with the Redis password, read again for each connection.',
  },
  'redis.passwordCommand': {
    kind: text,
    class: 'command',
    masked: true,
    alternative: 'the Redis password',
    doc: 'Command that prints the Redis password. It runs in the same way as mysql.passwordCommand.',
  },
  'redis.tls.enabled': {
    kind: boolean,
    fallback: 'false',
    doc: "Use TLS for Redis. Without redis.tls.ca, the system's CAs are trusted. Setting redis.tls.ca, cert, or key also turns TLS on; false is then an error.",
  },
  'redis.tls.ca': { kind: path, doc: 'PEM file with the CA certificates trusted for Redis.' },
  'redis.tls.cert': { kind: path, doc: 'PEM file with the client certificate for Redis.' },
  'redis.tls.key': { kind: path, doc: "PEM file with the client certificate's private key for Redis." },
  'redis.natMap': {
    kind: natMap,
    doc: 'Comma-separated pairs that map unreachable addresses of nodes to reachable ones: announced:port=reachable:port.',
  },
  'redis.prefix': {
    kind: PREFIX,
    fallback: 'jwt',
    inProjectFile: true,
    doc: 'Prefix of all key names in Redis.',
  },
  data: {
    kind: path,
    fallback: '$XDG_DATA_HOME/jwtctl/jwtctl.db',
    doc: 'SQLite file of the embedded store, used if neither MySQL nor Redis is configured.',
  },
  'masterKey.file': {
    kind: path,
    alternative: 'the master keyring',
    doc: 'File with the master keyring, one base64 256-bit key per line. The first key encrypts, and every key can decrypt. Without a keyring, the embedded store creates <data>.master-key.',
  },
  'masterKey.command': {
    kind: text,
    class: 'command',
    masked: true,
    alternative: 'the master keyring',
    doc: 'Command that prints the master keyring, for example from a vault. It must finish within the timeout.',
  },
  'masterKey.value': {
    kind: text,
    class: 'secret',
    variable: 'JWTCTL_MASTER_KEY',
    alternative: 'the master keyring',
    doc: 'The master keyring itself.',
  },
  'token.issuer': { kind: LINE, fallback: 'jwtctl', inProjectFile: true, doc: 'iss claim of every token.' },
  'token.audience': {
    kind: LINE,
    fallback: 'user',
    inProjectFile: true,
    doc: 'aud claim of tokens issued without --aud, and the audience that verification expects.',
  },
  'token.ttl': {
    kind: duration(),
    fallback: '1h',
    inProjectFile: true,
    doc: 'Lifetime of tokens issued without --ttl.',
  },
  'token.maxTtl': { kind: duration(), fallback: '24h', doc: 'Longest lifetime that a token can have.' },
  'token.actMaxTtl': {
    kind: duration(),
    fallback: '15m',
    doc: 'Longest lifetime of a token with which an operator acts as a user (`token issue --act`).',
  },
  'token.clockTolerance': {
    kind: duration(),
    fallback: '5s',
    doc: 'Largest accepted difference between the clocks of issuers, verifiers, and stores. If the clock of a host differs by more, jwtctl warns when it connects.',
  },
  'token.type': {
    kind: oneOf('JWT', 'at+jwt'),
    fallback: 'JWT',
    doc: 'typ header of new tokens. With at+jwt, they are access tokens of RFC 9068: each needs a client_id, which is the ID of the API client or --client-id.',
  },
  'token.acceptTypes': {
    kind: TYPES,
    fallback: 'JWT,at+jwt',
    doc: 'typ headers that verification accepts. Case and the prefix application/ do not matter. A token without typ is accepted. A token whose claims say that it is a refresh, ID, or logout token is accepted only if the list has that type, such as id.',
  },
  'token.idleTimeout': {
    kind: duration(),
    doc: 'A token that was not used for this long is refused (ERR_TOKEN_IDLE), even before it expires. At least 10s. Set it on all hosts. Without it, tokens need not be used.',
  },
  'token.acceptLegacy': {
    kind: date,
    doc: 'Last day (UTC), or the NumericDate, until which tokens registered with `token register --legacy` are accepted. Without this setting, such tokens are refused.',
  },
  'refresh.ttl': {
    kind: duration(),
    fallback: '30d',
    doc: 'Lifetime of a refresh token. Each use replaces it with a new one, so a session ends if it is not refreshed for this long.',
  },
  'refresh.maxAge': {
    kind: duration(),
    doc: 'How long a session can last, however often it is refreshed. Without it, a session has no end while it is used.',
  },
  'refresh.grace': {
    kind: duration(3600),
    fallback: '10s',
    doc: 'How long after its use a refresh token still returns the same new tokens, for example to a second browser tab or after a lost response. A later use ends the session.',
  },
  'keys.bits': {
    kind: integer(2048, 8192),
    fallback: '2048',
    inProjectFile: true,
    doc: 'Modulus length of new RSA keys.',
  },
  'keys.algorithm': {
    kind: oneOf(...SIGNING_ALGORITHMS),
    fallback: 'RS256',
    inProjectFile: true,
    doc: 'Signature algorithm (alg) of new keys.',
  },
  'keys.rotateAfter': {
    kind: duration(),
    fallback: '30d',
    inProjectFile: true,
    doc: 'Age at which the active key is due for rotation.',
  },
  'keys.publishLead': {
    kind: duration(),
    fallback: '10m',
    inProjectFile: true,
    doc: 'How long a key is published in the JWK Set before it signs. Must be at least the time for which verifiers cache the set.',
  },
  'keys.publishUrl': {
    kind: PUBLIC_URL,
    doc: 'URL of the JWK Set that verifiers read, such as https://auth.example.com/.well-known/jwks.json. `keys rotate` lets a key sign only after this URL shows it, through every cache on the way.',
  },
  'users.source': {
    kind: oneOf('managed', 'table', 'off'),
    fallback: 'managed',
    doc: 'Where users are kept: in a table that jwtctl manages (managed), or in your own table (table). With off, tokens need no user.',
  },
  'users.table': {
    kind: TABLE,
    doc: 'Table with your users, if users.source is table. The MySQL account needs SELECT on it: GRANT SELECT ON app.users TO jwtctl.',
  },
  'users.column': { kind: COLUMN, doc: 'Column with the subject, if users.source is table.' },
  'users.idType': {
    kind: oneOf('text', 'uuid-binary'),
    fallback: 'text',
    doc: 'Type of users.column: text, a number, or a string (text), or a UUID in BINARY(16) (uuid-binary). With uuid-binary, the subject is the UUID in lowercase.',
  },
  'users.enabledWhere': {
    kind: CONDITION,
    class: 'command',
    doc: 'SQL condition that is true for enabled users, if users.source is table. Without it, all users are enabled.',
  },
  'users.claims': {
    kind: claimColumns(COLUMN.pattern),
    doc: 'Claims of new tokens from columns of users.table, if users.source is table: a map of claims to columns, or text such as role=role_name,tenant=tenant_id. A column holds text, a number, or JSON. NULL leaves the claim out.',
  },
  'users.statusTtl': {
    kind: duration(),
    fallback: '60s',
    doc: "How long a user's status is cached before the database is asked again.",
  },
  'verifier.nearCache': {
    kind: boolean,
    fallback: 'false',
    doc: 'Keep verdicts in the memory of a running verifier until Redis invalidates them.',
  },
  'verifier.rememberedTokens': {
    kind: integer(1, 10_000_000),
    fallback: '20000',
    doc: 'Number of tokens whose signatures a running verifier remembers, about 2 KB each.',
  },
  'verifier.grace': {
    kind: duration(),
    fallback: '5m',
    doc: 'How long a running verifier uses the keys and users that it knows while the database does not respond. At least 10s.',
  },
  'registry.maxPerSubject': {
    // One atomic script looks at all of them when another is registered.
    kind: integer(1, 10_000),
    doc: 'Number of live tokens that a subject can have, at most 10,000. A new token beyond this number removes the oldest one.',
  },
  'registry.onLimit': {
    kind: oneOf('evict', 'refuse'),
    fallback: 'evict',
    doc: 'What happens if a subject has registry.maxPerSubject live tokens and another one is issued: evict removes the oldest token, and refuse issues no token (ERR_TOKEN_LIMIT). With refuse, the tokens of a session count as one. A session without a live token is not counted, and can always be refreshed.',
  },
  'serve.host': {
    kind: LINE,
    fallback: '127.0.0.1',
    doc: 'Address that the server listens on.',
  },
  'serve.port': {
    kind: integer(0, 65_535),
    fallback: '8787',
    doc: 'Port that the server listens on. With 0, the server picks a free port and logs its number.',
  },
  'serve.workers': { kind: integer(1, 256), fallback: '1', doc: 'Number of processes that share the port.' },
  'serve.cookie': { kind: COOKIE, doc: 'Cookie that holds the token if the Authorization header does not.' },
  'serve.drain': {
    kind: duration(3600),
    fallback: '3s',
    doc: 'How long a stopping server keeps serving requests before it closes its port. During this time, it reports that it is not ready.',
  },
  'serve.logLevel': {
    kind: oneOf('debug', 'info', 'warn', 'error'),
    fallback: 'info',
    doc: 'Lowest level that is logged. Failures are logged at error, refused tokens at info, and accepted tokens at debug.',
  },
  'serve.clients': {
    kind: clients,
    class: 'structure',
    doc: 'Applications that can use the HTTP API: a list of {id, secretFile or secretSha256, may: [introspect, issue, refresh, revoke, read, users], audiences}. A client without audiences can use all audiences. The variable takes JSON. Without clients, the API is off.',
  },
  'serve.headers': {
    kind: headers,
    class: 'structure',
    doc: 'Headers that /verify adds for an accepted token: a map from a header name, which begins with X- or Remote-, to a claim. Values are percent-encoded; lists and objects are JSON. The variable takes JSON.',
  },
  'serve.publicUrl': {
    kind: PUBLIC_URL,
    doc: 'URL under which clients reach the server. It must equal token.issuer. Turns on the discovery documents /.well-known/openid-configuration and /.well-known/oauth-authorization-server.',
  },
  'serve.policies': {
    kind: policies,
    class: 'structure',
    doc: 'Policies for /verify/@NAME, with more requirements for a token: a map from a name to {aud, scope, claims, maxAge}. The variable takes JSON.',
  },
  'serve.logout': {
    kind: boolean,
    fallback: 'false',
    doc: 'Whether POST /logout ends the token of the request.',
  },
  'serve.tls.cert': {
    kind: path,
    doc: "PEM file with the server's certificate and its intermediate certificates. With this file and serve.tls.key, the server uses HTTPS. Read again when it changes.",
  },
  'serve.tls.key': { kind: path, doc: "PEM file with the server's private key." },
} as const satisfies Record<string, Declaration>;

type Declarations = typeof DECLARATIONS;

export type SettingPath = keyof Declarations;

/** Durations are whole seconds, and paths are absolute. Null: not set, without a default. */
export type Settings = Nest<{
  readonly [Path in SettingPath]: Declarations[Path] extends { fallback: string }
    ? ValueOf<Declarations[Path]['kind']>
    : ValueOf<Declarations[Path]['kind']> | null;
}>;

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
