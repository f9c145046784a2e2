import { JwtctlError } from '../../domain/shared/errors.js';
import { nearest } from '../../domain/shared/nearest.js';
import { insideQuotes } from '../../domain/shared/text.js';
import { SETTINGS, type Setting, type Settings, settingOf } from '../settings.js';
import type { Environment } from '../standard-paths.js';
import { assign, type Layer, type LayerBase, missingValue } from './layer.js';
import { variableOrigin } from './setting-origin.js';
import { didYouMean, synonymOf } from './setting-synonyms.js';

const OTHER_VARIABLES = new Set(['JWTCTL_CONFIG', 'JWTCTL_PROFILE']);

/** Treats an empty variable as unset, as shells do for `VAR=`, unless the setting restricts something. */
export function variablesLayer(env: Environment, base: LayerBase): Layer {
  const layer: Layer = { assignments: [], problems: [] };
  const known = new Map(SETTINGS.map((setting) => [setting.variable, setting]));
  for (const [name, raw] of Object.entries(env)) {
    if (!name.startsWith('JWTCTL_') || name.startsWith('JWTCTL_TEST_')) continue;
    if (raw === undefined) continue;
    const setting = known.get(name);
    const origin = variableOrigin(name);
    if (raw === '') {
      if (setting?.restricts) layer.problems.push(missingValue(setting.path, origin));
    } else if (insideQuotes(raw) !== null) layer.problems.push(quoted(name, setting));
    else if (OTHER_VARIABLES.has(name)) continue;
    else if (setting !== undefined) assign(layer, setting, raw, origin, base);
    else layer.problems.push(unknownVariable(name, [...known.keys(), ...OTHER_VARIABLES]));
  }
  return layer;
}

/** A shell removes quotes, but `docker run --env-file` and some other readers of such files keep them. */
function quoted(name: string, setting: Setting | undefined): JwtctlError {
  const secret =
    setting?.class === 'secret'
      ? ' If they belong to the secret, put it into a file, and name the file.'
      : '';
  return new JwtctlError(
    'ERR_CONFIG_VALUE_INVALID',
    `The variable ${name} has quotes around its value, which are part of the value.`,
    {
      hint: `Remove the quotes in the file or the program that sets the variable.${secret}`,
      details: { setting: setting?.path ?? null, origin: name },
    },
  );
}

function unknownVariable(name: string, known: readonly string[]): JwtctlError {
  const synonym = synonymOf(name.replace('JWTCTL_', ''));
  const suggestion = nearest(name, known) ?? (synonym === null ? null : settingOf(synonym).variable);
  const message = `The variable ${name} is not a setting${didYouMean(suggestion)}`;
  return new JwtctlError('ERR_CONFIG_VARIABLE_UNKNOWN', message, { details: { variable: name, suggestion } });
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
