import { DAY_SECONDS } from '../../domain/shared/duration.js';
import { boolean, duration, mysqlUrl, natMap, nodes, oneOf, path, pattern, text } from '../setting-kinds.js';
import { type Declaration, LINE } from './declaration.js';

const PREFIX = pattern(/^[\w.:-]{0,63}[\w.-]$/, '1 to 64 of A-Z a-z 0-9 . _ : -, not ending with a colon');
const TABLE_PREFIX = pattern(/^[A-Za-z0-9_]{1,32}$/, '1 to 32 of A-Z a-z 0-9 _');

/** MySQL, Redis, the embedded store, and the master key. */
export const STORE_SETTINGS = {
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
    restricts: true,
    doc: 'Use TLS for MySQL. Without mysql.tls.ca, the CAs that Node.js trusts by default are used. Setting mysql.tls.ca, cert, or key also turns TLS on; false is then an error.',
  },
  'mysql.tls.ca': {
    kind: path,
    restricts: true,
    doc: 'PEM file with the CA certificates trusted for MySQL.',
  },
  'mysql.tls.cert': { kind: path, restricts: true, doc: 'PEM file with the client certificate for MySQL.' },
  'mysql.tls.key': {
    kind: path,
    restricts: true,
    doc: "PEM file with the client certificate's private key for MySQL.",
  },
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
    restricts: true,
    doc: 'Use TLS for Redis. Without redis.tls.ca, the CAs that Node.js trusts by default are used. Setting redis.tls.ca, cert, or key also turns TLS on; false is then an error.',
  },
  'redis.tls.ca': {
    kind: path,
    restricts: true,
    doc: 'PEM file with the CA certificates trusted for Redis.',
  },
  'redis.tls.cert': { kind: path, restricts: true, doc: 'PEM file with the client certificate for Redis.' },
  'redis.tls.key': {
    kind: path,
    restricts: true,
    doc: "PEM file with the client certificate's private key for Redis.",
  },
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
} as const satisfies Record<string, Declaration>;
