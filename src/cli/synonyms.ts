import { nearest } from '../domain/shared/nearest.js';

/** The commands that are meant by a word without a group, including words of other programs. */
const COMMANDS = table({
  'token issue': 'issue sign mint login create encode',
  'token verify': 'verify check validate introspect',
  'token decode': 'decode parse inspect debug',
  'token revoke': 'revoke logout blacklist blocklist invalidate',
  'token register': 'register track',
  'keys generate': 'generate keygen genkey generate-key new-key genkeypair gen-key genrsa',
  'keys rotate': 'rotate roll rollover renew',
  'keys export --jwks': 'jwks jwk-set',
  'users add': 'adduser add-user useradd create-user',
  'users disable': 'disable ban block suspend lock',
  'users enable': 'enable unban unblock unlock',
  'cache flush': 'flush clear purge',
  'cache snapshot': 'snapshot backup',
  'cache restore': 'restore',
  'cache reconcile': 'reconcile repair sync',
  'db migrate': 'migrate upgrade',
  'db recover': 'recover',
  serve: 'server start run listen http api',
  keys: 'keypair keypairs',
  token: 'jwt jwts',
  users: 'account accounts subjects people',
  cache: 'redis registry',
  db: 'database schema mysql sql',
  config: 'settings configuration conf configure',
  help: 'man usage commands',
  '--version': 'version',
});

/** The verbs that are meant by another verb. The first that the group has is suggested. */
const VERBS: ReadonlyMap<string, string> = new Map([
  ...words('create new make', 'add generate issue migrate'),
  ...words('add', 'generate issue import register'),
  ...words('insert put load upload', 'add import restore register'),
  ...words('import track', 'register restore'),
  ...words('sign mint login encode generate', 'issue add'),
  ...words('delete del rm remove destroy erase drop unregister', 'remove retire purge revoke flush'),
  ...words('revoke', 'compromise disable'),
  ...words(
    'blacklist blocklist block ban deny invalidate logout kill cancel expire end',
    'revoke disable compromise',
  ),
  ...words('suspend lock deactivate stop', 'disable retire'),
  ...words('unblock unban unlock unsuspend reactivate allow activate', 'enable'),
  ...words('ls list all index search find', 'list inspect show status'),
  ...words(
    'get describe desc info view read display print cat show inspect',
    'show decode inspect get status',
  ),
  ...words('parse dump debug', 'decode export snapshot show'),
  ...words('check validate test introspect', 'verify validate status reconcile'),
  ...words('clear empty wipe clean reset prune purge', 'flush purge remove'),
  ...words('roll rollover renew refresh', 'rotate'),
  ...words('download save backup', 'export snapshot'),
  ...words('stats count size top', 'inspect usage status'),
  ...words('up upgrade init setup install', 'migrate'),
  ...words('repair fix sync', 'reconcile recover'),
]);

/** The flags that are meant by another flag. The first that the command has is suggested. */
const FLAGS: ReadonlyMap<string, string> = new Map([
  ...words('subject user username user-name uid user-id principal', 'sub'),
  ...words('audience resource', 'aud'),
  ...words('client', 'client-id aud'),
  ...words('expires-in expires expiry expiration exp expire lifetime duration valid-for max-age', 'ttl'),
  ...words('nbf start valid-from delay', 'not-before'),
  ...words('file filename input in from path', 'sub-file token-file pem claims'),
  ...words('payload body claims-file', 'claims'),
  ...words('role roles scope scopes permissions', 'claim'),
  ...words('key key-id keyid', 'kid pem'),
  ...words('private-key privkey secret-key privatekey', 'private pem key'),
  ...words('public-key pubkey publickey', 'public pem'),
  ...words('id token-id', 'jti kid'),
  ...words('algorithm', 'alg'),
  ...words('size key-size length modulus', 'bits'),
  ...words('everything', 'all'),
  ...words('before until older', 'issued-before older-than'),
  ...words('message comment why note', 'reason'),
  ...words('dry dryrun simulate noop', 'dry-run'),
  ...words('force confirm no-confirm assume-yes non-interactive', 'yes'),
  ...words('format', 'output'),
  ...words('silent', 'quiet'),
  ...words('debug', 'verbose'),
  ...words('display-name full-name', 'name'),
  ...words('output-file outfile to dest', 'out'),
  ...words('create create-users add-user', 'create-user'),
  ...words('label device tag metadata', 'meta'),
  ...words('filter', 'where'),
  ...words('env environment', 'profile'),
  ...words('conf configuration config-file', 'config'),
  ...words('issuer iss', 'token-issuer'),
  ...words('redis redis-url redis-node', 'redis-nodes'),
  ...words('mysql database db dsn database-url', 'mysql-url'),
  ...words('bind address listen', 'host'),
]);

/** @param groups the commands at the top, by all their names */
export function meantCommand(
  word: string,
  groups: ReadonlyMap<string, string>,
  { isExact = false } = {},
): string | null {
  const name = word.toLowerCase();
  const found = groups.get(name) ?? COMMANDS.get(name) ?? joinedCommand(name, groups);
  if (found !== null || isExact) return found;
  const near = nearest(name, [...groups.keys(), ...COMMANDS.keys()]);
  return near === null ? null : (groups.get(near) ?? COMMANDS.get(near) ?? null);
}

/** `db:migrate` and `keys.create`. Returns only the group if the verb is not in the table. */
function joinedCommand(name: string, groups: ReadonlyMap<string, string>): string | null {
  const [, first = '', verb = ''] = /^([a-z]+)[:./_-]([a-z]+)$/.exec(name) ?? [];
  const group = groups.get(first);
  if (group === undefined) return null;
  const known = new Set(COMMANDS.values());
  const meanings = [verb, ...(VERBS.get(verb)?.split(' ') ?? [])].map((one) => `${group} ${one}`);
  return meanings.find((command) => known.has(command)) ?? group;
}

export function meantVerb(word: string, verbs: readonly string[]): string | null {
  return meant(word.toLowerCase(), VERBS, verbs);
}

/** @param flag with its dashes, as typed: `--expiresIn`, `-sub` */
export function meantFlag(flag: string, flags: readonly string[]): string | null {
  const name = flag
    .replace(/^-+/, '')
    .replace(/([a-z])(?=[A-Z])/g, '$1-')
    .replaceAll('_', '-')
    .toLowerCase();
  return name.length < 2 ? null : meant(name, FLAGS, flags);
}

function meant(name: string, synonyms: ReadonlyMap<string, string>, known: readonly string[]): string | null {
  if (known.includes(name)) return name;
  const synonym = synonyms
    .get(name)
    ?.split(' ')
    .find((one) => known.includes(one));
  return synonym ?? onlyBeginning(name, known) ?? nearest(name, known);
}

/** Returns the only name that begins with these letters: `gen` is `generate`. */
function onlyBeginning(name: string, known: readonly string[]): string | null {
  const [only, ...others] = name.length < 3 ? [] : known.filter((one) => one.startsWith(name));
  return only !== undefined && others.length === 0 ? only : null;
}

function words(names: string, meanings: string): Array<[string, string]> {
  return names.split(' ').map((name) => [name, meanings]);
}

function table(meanings: Record<string, string>): ReadonlyMap<string, string> {
  return new Map(Object.entries(meanings).flatMap(([command, names]) => words(names, command)));
}
