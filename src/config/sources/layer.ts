import { typeName } from '../../domain/shared/describe-value.js';
import { JwtctlError } from '../../domain/shared/errors.js';
import { expectedOf, problemOf, readValue } from '../setting-values.js';
import { SETTINGS, type Setting } from '../settings.js';
import type { Places } from '../standard-paths.js';
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

export function isSensitive({ setting, implied = [] }: Assignment): boolean {
  return setting.class === 'secret' || setting.class === 'command' || implied.some(isSensitive);
}

/** Shows only a short value, because a longer one may be a misplaced password. */
export function invalid(
  path: string,
  origin: Origin,
  value: unknown,
  expected: string,
  isShown = false,
): JwtctlError {
  const isShort = ['number', 'string'].includes(typeof value) && /^-?[\w.]{1,8}$/.test(String(value));
  // Flags and variables are always strings, so the type says nothing of one.
  const hidden = typeof value === 'string' ? 'cannot have this value' : `is ${typeName(value)}`;
  const found = isShown && isShort ? `is '${value}'` : hidden;
  return badValue(path, origin, `${found}; expected ${expected}`);
}

function mayShow({ kind, class: settingClass }: Setting): boolean {
  return settingClass === 'plain' && SHOWN.has(kind.type);
}

const SHOWN = new Set<Setting['kind']['type']>(['duration', 'date', 'integer', 'boolean', 'oneOf']);

/** Text in the form of a shell's variable, as a file without a shell leaves it. */
const UNEXPANDED = /^\$\{\w+\}$|:\/\/.*\$\{\w+\}/;

export function badValue(path: string, origin: Origin, problem: string): JwtctlError {
  // A problem in a list begins with the index.
  const where = problem.startsWith('[') ? path : `${path} `;
  const end = problem.endsWith('?') ? '' : '.';
  return new JwtctlError('ERR_CONFIG_VALUE_INVALID', `${originText(origin)}: ${where}${problem}${end}`, {
    details: { setting: path, origin: originText(origin) },
  });
}

/** A restricting setting without a value is probably a mistake: its value may have been commented out. */
export function missingValue(path: string, origin: Origin): JwtctlError {
  return badValue(path, origin, 'has no value; set one, or remove the setting');
}

export function assign(layer: Layer, setting: Setting, raw: unknown, origin: Origin, base: LayerBase): void {
  if (setting.class !== 'command' && typeof raw === 'string' && UNEXPANDED.test(raw)) {
    const problem = 'has the form of a variable that was not expanded; write its value';
    layer.problems.push(badValue(setting.path, origin, problem));
    return;
  }
  const read = readValue(setting.kind, raw, base.directory, base.places);
  if (read === null) {
    const problem = problemOf(setting.kind, raw, base.directory, base.places);
    layer.problems.push(
      problem === null
        ? invalid(setting.path, origin, raw, expectedOf(setting.kind), mayShow(setting))
        : badValue(setting.path, origin, problem),
    );
    return;
  }
  const implied = SETTINGS.filter(({ path }) => read.implied?.[path] !== undefined).map((other) => ({
    ...{ setting: other, value: read.implied?.[other.path], origin },
  }));
  layer.assignments.push({ setting, value: read.value, origin, implied });
}
