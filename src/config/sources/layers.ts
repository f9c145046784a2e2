import { typeName } from '../../domain/shared/describe-value.js';
import { JwtctlError } from '../../domain/shared/errors.js';
import { nearest } from '../../domain/shared/nearest.js';
import { insideQuotes } from '../../domain/shared/text.js';
import { expectedOf, problemOf, readValue } from '../setting-values.js';
import { SETTINGS, type Setting, type SettingPath, settingOf } from '../settings.js';
import type { Environment, Places } from '../standard-paths.js';
import { synonymOf } from './names-elsewhere.js';
import { type Origin, originText } from './setting-origin.js';

export interface Assignment {
  readonly setting: Setting;
  readonly value: unknown;
  readonly origin: Origin;
  /** What an address says about other settings. Counts only if the address is used. */
  readonly implied?: readonly Assignment[] | undefined;
}

export interface Layer {
  readonly assignments: Assignment[];
  readonly problems: JwtctlError[];
}

export interface LayerBase {
  /** Relative paths in the layer start here. */
  readonly directory: string;
  readonly places: Places;
}

const OTHER_VARIABLES = new Set(['JWTCTL_CONFIG', 'JWTCTL_PROFILE']);
const GROUPS = new Set(SETTINGS.flatMap(({ path }) => prefixesOf(path)));

/** Treats an empty variable as unset, as shells do for `VAR=`. */
export function variablesLayer(env: Environment, base: LayerBase): Layer {
  const layer: Layer = { assignments: [], problems: [] };
  const known = new Map(SETTINGS.map((setting) => [setting.variable, setting]));
  for (const [name, raw] of Object.entries(env)) {
    if (!name.startsWith('JWTCTL_') || name.startsWith('JWTCTL_TEST_')) continue;
    if (raw === undefined || raw === '') continue;
    const setting = known.get(name);
    const origin: Origin = { source: 'variable', name, line: null, profile: null };
    if (insideQuotes(raw) !== null) layer.problems.push(quoted(name, setting));
    else if (OTHER_VARIABLES.has(name)) continue;
    else if (setting !== undefined) assign(layer, setting, raw, origin, base);
    else layer.problems.push(unknownVariable(name, [...known.keys(), ...OTHER_VARIABLES]));
  }
  return layer;
}

export function flagsLayer(flags: Readonly<Partial<Record<SettingPath, unknown>>>, base: LayerBase): Layer {
  const layer: Layer = { assignments: [], problems: [] };
  for (const setting of SETTINGS) {
    const raw = flags[setting.path];
    if (setting.flag === null || raw === undefined) continue;
    assign(layer, setting, raw, { source: 'flag', name: setting.flag, line: null, profile: null }, base);
  }
  for (const { setting, origin } of layer.assignments.filter(isSensitive)) {
    layer.problems.push(
      new JwtctlError(
        'ERR_CONFIG_SECRET_IN_FLAG',
        `${origin.name} contains a password, which other users could read in the process list.`,
        {
          hint: `Leave the password out and set ${setting.path.split('.')[0]}.passwordFile, or set ${setting.variable}.`,
          details: { setting: setting.path },
        },
      ),
    );
  }
  return layer;
}

/** @param otherKeys top-level keys that are allowed but are not settings */
export function treeLayer(
  tree: unknown,
  originOf: (keys: readonly string[]) => Origin,
  base: LayerBase,
  otherKeys: readonly string[] = [],
): Layer {
  const layer: Layer = { assignments: [], problems: [] };
  const seen = new Set<string>();
  const walk = (branch: object, above: readonly string[]) => {
    for (const [key, value] of Object.entries(branch)) {
      const keys = [...above, key];
      const path = keys.join('.');
      const setting = settingOf(path);
      if (setting !== undefined) {
        if (seen.has(path)) layer.problems.push(badValue(path, originOf(keys), 'is set more than once'));
        else if (value !== null && value !== undefined) assign(layer, setting, value, originOf(keys), base);
        seen.add(path);
      } else if (GROUPS.has(path)) {
        if (isMap(value)) walk(value, keys);
        else if (value !== null && value !== undefined)
          layer.problems.push(invalid(path, originOf(keys), value, mapOf(path)));
      } else if (above.length > 0 || !otherKeys.includes(key)) {
        layer.problems.push(unknownKey(path, originOf(keys), otherKeys));
      }
    }
  };
  if (isMap(tree)) walk(tree, []);
  else if (tree !== null && tree !== undefined) {
    layer.problems.push(invalid('the whole document', originOf([]), tree, 'a map of settings'));
  }
  return layer;
}

export function isSensitive({ setting, implied = [] }: Assignment): boolean {
  return setting.class === 'secret' || setting.class === 'command' || implied.some(isSensitive);
}

export function isMap(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** The message omits the value, which may be a misplaced password. */
export function invalid(path: string, origin: Origin, value: unknown, expected: string): JwtctlError {
  // Flags and variables are always strings, so the type says nothing of one.
  const found = typeof value === 'string' ? 'cannot have this value' : `is ${typeName(value)}`;
  return badValue(path, origin, `${found}; expected ${expected}`);
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

function badValue(path: string, origin: Origin, problem: string): JwtctlError {
  // A problem in a list begins with the index.
  const where = problem.startsWith('[') ? path : `${path} `;
  const end = problem.endsWith('?') ? '' : '.';
  return new JwtctlError('ERR_CONFIG_VALUE_INVALID', `${originText(origin)}: ${where}${problem}${end}`, {
    details: { setting: path, origin: originText(origin) },
  });
}

function assign(layer: Layer, setting: Setting, raw: unknown, origin: Origin, base: LayerBase): void {
  const read = readValue(setting.kind, raw, base.directory, base.places);
  if (read === null) {
    const problem = problemOf(setting.kind, raw, base.directory, base.places);
    layer.problems.push(
      problem === null
        ? invalid(setting.path, origin, raw, expectedOf(setting.kind))
        : badValue(setting.path, origin, problem),
    );
    return;
  }
  const implied = SETTINGS.filter(({ path }) => read.implied?.[path] !== undefined).map((other) => ({
    ...{ setting: other, value: read.implied?.[other.path], origin },
  }));
  layer.assignments.push({ setting, value: read.value, origin, implied });
}

function unknownKey(path: string, origin: Origin, otherKeys: readonly string[]): JwtctlError {
  // Without the space, `{password:secret}` is a single key that includes the secret.
  const key = path.replace(/[^\w.-].*$/s, '…').slice(0, 80);
  const known = [...SETTINGS.map((setting) => setting.path), ...GROUPS, ...otherKeys];
  const suggestion = nearest(key.replace('…', ''), known) ?? synonymOf(key);
  const message = `${originText(origin)}: there is no setting ${key}${didYouMean(suggestion)}`;
  return new JwtctlError('ERR_CONFIG_SETTING_UNKNOWN', message, {
    details: { setting: key, origin: originText(origin), suggestion },
  });
}

function unknownVariable(name: string, known: readonly string[]): JwtctlError {
  const synonym = synonymOf(name.replace('JWTCTL_', ''));
  const suggestion = nearest(name, known) ?? (synonym === null ? null : settingOf(synonym).variable);
  const message = `The variable ${name} is not a setting${didYouMean(suggestion)}`;
  return new JwtctlError('ERR_CONFIG_VARIABLE_UNKNOWN', message, { details: { variable: name, suggestion } });
}

function didYouMean(suggestion: string | null): string {
  return suggestion === null ? '.' : `; did you mean ${suggestion}?`;
}

function mapOf(group: string): string {
  const example = SETTINGS.find(({ path }) => path.startsWith(`${group}.`));
  return `a map of settings such as ${example?.path}`;
}

/** Returns `mysql` and `mysql.tls` for `mysql.tls.ca`. */
function prefixesOf(path: string): string[] {
  return path.split('.').flatMap((_, index, parts) => (index === 0 ? [] : [parts.slice(0, index).join('.')]));
}
