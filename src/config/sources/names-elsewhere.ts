import type { SettingPath, Settings } from '../settings.js';
import type { Environment } from '../standard-paths.js';

/** What people call a setting that has another name here. Names are compared without case and separators. */
const SYNONYMS: ReadonlyArray<[SettingPath, RegExp]> = [
  [
    'redis.nodes',
    /^(redis|valkey|cache)(url|uri|urls|host|hosts|port|addr|address|endpoint|server|servers|node|cluster|clusternodes)?$/,
  ],
  [
    'mysql.url',
    /^(mysql|mariadb|database|db|sql)(url|uri|dsn|host|port|user|username|name|database|connection|addr|address|server)?$/,
  ],
  ['mysql.passwordFile', /^(mysql|mariadb|database|db)(pwfile|passfile|secretfile)$/],
  ['redis.username', /^(redis|valkey)user$/],
  ['redis.password', /^(redis|valkey)(auth|pass|pw)$/],
  ['token.issuer', /^(jwt)?iss(uer)?$/],
  ['token.audience', /^(jwt)?aud(ience)?$/],
  ['token.ttl', /^(jwt|token)?(ttl|lifetime|expiry|expiresin)$/],
  ['masterKey.value', /^master(key|secret)?$/],
  ['data', /^(data(file|path|dir)?|sqlite(file|path)?)$/],
];

/** @param name of a variable without its prefix, or a path */
export function synonymOf(name: string): SettingPath | null {
  const compared = name.toLowerCase().replace(/[^a-z]/g, '');
  return SYNONYMS.find(([, names]) => names.test(compared))?.[0] ?? null;
}

const MYSQL_NAMES = /^(MYSQL|MARIADB|JAWSDB|JAWSDB_MARIA|CLEARDB_DATABASE)_(URL|HOST|DSN)$/;
const DATABASE_NAMES = /^(DATABASE|DB)_(URL|DSN)$/;
const REDIS_NAMES = /^(REDIS|REDIS_TLS|REDISCLOUD|VALKEY)_(URL|HOST|HOSTS|NODES)$/;

/** Returns a hint for each store that is not configured, but is in a variable of other programs. */
export function variablesOfOthers({ mysql, redis }: Settings, env: Environment): string[] {
  const set = Object.keys(env).filter((name) => env[name]);
  const isMysql = (name: string) =>
    MYSQL_NAMES.test(name) ||
    (DATABASE_NAMES.test(name) && /^(jdbc:)?(mysql|mariadb)/i.test(env[name] ?? ''));
  const hint = (name: string | undefined, ours: string) =>
    name === undefined ? [] : [`${name} is set, but jwtctl reads ${ours}, which is not set.`];
  return [
    ...(mysql.url === null ? hint(set.find(isMysql), 'JWTCTL_MYSQL_URL') : []),
    ...(redis.nodes === null
      ? hint(
          set.find((name) => REDIS_NAMES.test(name)),
          'JWTCTL_REDIS_NODES',
        )
      : []),
  ];
}
