import type { SettingPath } from '../settings.js';

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

export function didYouMean(suggestion: string | null): string {
  return suggestion === null ? '.' : `; did you mean ${suggestion}?`;
}
