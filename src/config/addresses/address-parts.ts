/** Why an address cannot be used. The message completes "mysql.url …" and never contains a part of the address. */
export class AddressProblem extends Error {}

export type Pair = readonly [name: string, value: string];

/** Compares names and values without case, hyphens, underscores, and spaces: `ssl-mode` is `sslMode`. */
function plain(text: string): string {
  return text.toLowerCase().replace(/[-_ ]/g, '');
}

/**
 * Splits an authority at its `@`. A password may contain `@` and `/` as they are, if only one `@` has hosts
 * after it.
 *
 * @param path matches what may follow the hosts, up to the end, apart from the parameters
 * @returns null if nothing fits
 */
export function splitUserinfo(
  text: string,
  path: RegExp,
): { userinfo: string | null; match: RegExpExecArray } | null {
  const rest = (hosts: RegExp) => new RegExp(`^(${hosts.source})${path.source}(?:\\?([^#]*))?$`);
  const strict = rest(/(?:(?:\[[^\]]*\]|[\w.-]*)(?::\d+)?)(?:,(?:\[[^\]]*\]|[\w.-]*)(?::\d+)?)*/);
  const ends = [-1, ...[...text.matchAll(/@/g)].map(({ index }) => index)];
  const found = ends.flatMap((at) => {
    const match = strict.exec(text.slice(at + 1));
    return match === null ? [] : [{ userinfo: at === -1 ? null : text.slice(0, at), match }];
  });
  if (found.length > 1) throw new AddressProblem(`has more than one @, so the host is unclear; ${ENCODE}`);
  if (found[0] !== undefined) return found[0];
  // No host is valid. The caller says why.
  const last = ends.at(-1) ?? -1;
  const match = rest(/[^@/?#]*/).exec(text.slice(last + 1));
  return match === null ? null : { userinfo: last === -1 ? null : text.slice(0, last), match };
}

/** Decodes a part that contains a percent escape. Refuses one that mixes escapes with unencoded characters. */
export function decodePart(part: string, what: string): string {
  const isEncoded = /%[0-9a-f]{2}/i.test(part);
  if (!isEncoded) return part;
  if (/[@/?#[\]\s]|%(?![0-9a-f]{2})/i.test(part))
    throw new AddressProblem(`has a ${what} that is only partly percent-encoded; ${ENCODE}`);
  try {
    return decodeURIComponent(part);
  } catch {
    throw new AddressProblem(`has a ${what} that is not percent-encoded UTF-8; ${ENCODE}`);
  }
}

const ENCODE =
  'percent-encode special characters in the user and the password (@ is %40, / is %2F, % is %25)';

/** `user:password` or `user`. */
export function readUserinfo(userinfo: string | null, decode = decodePart) {
  const [user = '', ...rest] = (userinfo ?? '').split(':');
  return { user: decode(user, 'user'), password: decode(rest.join(':'), 'password') };
}

export function readQuery(query: string | undefined): Pair[] {
  return [...new URLSearchParams(query ?? '')];
}

export interface Parameters {
  readonly user?: string;
  readonly password?: string;
  /** Null if no parameter decides it. */
  readonly tls: boolean | null;
  /** The others, by their plain name. */
  readonly others: ReadonlyMap<string, string>;
}

/** Understands the parameters that every kind of address has. Only names from the lists below are ever shown. */
export function readParameters(
  group: 'mysql' | 'redis',
  pairs: readonly Pair[],
  accepted: readonly string[],
): Parameters {
  const others = new Map<string, string>();
  const credentials: { user?: string; password?: string } = {};
  let tls: boolean | null = null;
  for (const [name, value] of pairs) {
    const key = plain(name);
    if (USER.has(key)) credentials.user = value;
    else if (PASSWORD.has(key)) credentials.password = value;
    else if (accepted.includes(key)) others.set(key, value);
    else if (TLS.has(key) || VERIFICATION.has(key)) {
      const demand = tlsDemand(group, name, key, plain(value));
      if (demand !== null && tls !== null && demand !== tls)
        throw new AddressProblem('has parameters that turn TLS both on and off');
      tls ??= demand;
    } else if (!IGNORED.has(key)) throw refusedParameter(group, name, key);
  }
  return { ...credentials, tls, others };
}

function tlsDemand(group: string, name: string, key: string, value: string): boolean | null {
  if (key === 'ssldisabled') return ON.has(value) ? false : null;
  const isNegated = key === 'trustservercertificate' || key === 'tlsinsecureskipverify';
  const isUnverified = VERIFICATION.has(key) ? OFF.has(value) !== isNegated : UNVERIFIED.test(value);
  if (isUnverified) {
    throw new AddressProblem(
      `has ${name}, which turns off the check of the server's certificate; jwtctl always checks it, so remove the parameter and set ${group}.tls.ca to the PEM file of the server's CA`,
    );
  }
  if (VERIFICATION.has(key) || EITHER.has(value)) return null;
  if (ON.has(value) || value.startsWith('{')) return true;
  if (OFF.has(value)) return false;
  throw new AddressProblem(`has an unknown value of ${name}; use REQUIRED or DISABLED`);
}

function refusedParameter(group: string, name: string, key: string): AddressProblem {
  for (const [names, meant] of MEANT) {
    const [word] = names.exec(key) ?? [];
    if (word === undefined) continue;
    const setting = meant.replace(/^(?=tls\b|passwordCommand)/, `${group}.`);
    // The rest may be a part of a password with a semicolon.
    const shown = word === key ? `the parameter ${name}` : `a parameter named like ${word}`;
    return new AddressProblem(`has ${shown}; set ${setting} instead`);
  }
  return new AddressProblem('has a parameter that jwtctl does not know; remove it');
}

const USER = new Set(['user', 'username', 'userid', 'uid']);
const PASSWORD = new Set(['password', 'pwd', 'passwd', 'auth']);
const TLS = new Set([
  'sslmode',
  'tls',
  'ssl',
  'usessl',
  'requiressl',
  'sslaccept',
  'tlsmode',
  'usetls',
  'ssldisabled',
]);
const VERIFICATION = new Set([
  ...['verifyservercertificate', 'trustservercertificate', 'sslverifycert', 'sslverifyidentity'],
  ...['sslcertreqs', 'sslcheckhostname', 'verifypeer', 'rejectunauthorized', 'tlsinsecureskipverify'],
]);
const ON = new Set([
  ...['true', '1', 'on', 'yes', 'required', 'require', 'strict'],
  ...['verifyca', 'verifyidentity', 'verifyfull'],
]);
const OFF = new Set(['false', '0', 'off', 'no', 'none', 'certnone', 'disabled', 'disable']);
const EITHER = new Set(['preferred', 'prefer', 'allow']);
const UNVERIFIED = /^(skipverify|acceptinvalidcerts|insecure|trust)$|"rejectunauthorized":false/;

/** The setting for a parameter that jwtctl does not take from an address. The patterns match literal words only. */
const MEANT: ReadonlyArray<readonly [RegExp, string]> = [
  [
    /^(ssl|tls)?(ca|cafile|cacert|cacerts|cacertfile|capath|rootcert)$|^serversslcert$|truststore|^trustcert/,
    'tls.ca',
  ],
  [/^(ssl|tls|client)?cert(file|ificate)?$|^sslidentity$|^clientcert|^keystore/, 'tls.cert'],
  [/^(ssl|tls)?key(file)?$|^sslpassword$/, 'tls.key'],
  [/timeout(ms|millis|seconds)?$/, 'timeout'],
  [/^(prefix|keyprefix)$/, 'redis.prefix'],
  [/^(use|enable)?iam|^wrapperplugins$|^authenticationplugin/, 'passwordCommand'],
  [
    /^(redis)?sentinel(masterid|mastername|master|service)?$|^mastername$/,
    'redis.mode to sentinel and redis.sentinelMaster',
  ],
];

/** Settings of a driver that jwtctl chooses by itself. */
const IGNORED = new Set([
  ...['charset', 'characterencoding', 'encoding', 'useunicode', 'collation', 'connectioncollation'],
  ...['parsetime', 'loc', 'timezone', 'servertimezone', 'connectiontimezone', 'uselegacydatetimecode'],
  ...['zerodatetimebehavior', 'tinyint1isbit', 'allowpublickeyretrieval', 'autoreconnect', 'reconnect'],
  ...['rewritebatchedstatements', 'cacheprepstmts', 'useserverprepstmts', 'multistatements', 'serverversion'],
  ...['interpolateparams', 'allownativepasswords', 'connectionlimit', 'pool', 'poolsize', 'maxpoolsize'],
  ...['conmaxage', 'connmaxage', 'connmaxlifetime', 'option', 'pooling', 'applicationname', 'programname'],
  ...['minimumpoolsize', 'maximumpoolsize', 'minpoolsize', 'allowuservariables', 'persistsecurityinfo'],
  ...[
    'convertzerodatetime',
    'allowzerodatetime',
    'treattinyasboolean',
    'connectionreset',
    'guidformat',
    'oldguids',
  ],
  ...[
    'preparedstatements',
    'datestrings',
    'supportbignumbers',
    'bignumberstrings',
    'namedplaceholders',
    'debug',
  ],
  ...[
    'waitforconnections',
    'queuelimit',
    'multiplestatements',
    'decimalnumbers',
    'enablekeepalive',
    'tcpkeepalive',
  ],
  ...['allowmultiqueries', 'usecursorfetch', 'characterset', 'charactersetresults', 'uselocalsessionstate'],
  ...[
    'prepstmtcachesize',
    'prepstmtcachesqllimit',
    'elidesetautocommits',
    'maintaintimestats',
    'useinformationschema',
  ],
  ...[
    'nullcatalogmeanscurrent',
    'preserveinstants',
    'permitmysqlscheme',
    'clientfoundrows',
    'checkconnliveness',
  ],
  ...[
    'rejectreadonly',
    'allowcleartextpasswords',
    'lazy',
    'cluster',
    'rediscluster',
    'retryinterval',
    'weight',
    'abortconnect',
  ],
  ...['statementcachesize', 'schema', 'persistent', 'persistentconnections', 'createdatabaseifnotexist'],
  ...[
    'clientname',
    'libraryname',
    'libraryversion',
    'protocol',
    'family',
    'decoderesponses',
    'maxconnections',
  ],
  ...['healthcheckinterval', 'skipfullcoverage', 'allowusernameinuri', 'driver', 'maxallowedpacket'],
]);
