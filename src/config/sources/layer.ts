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

/** The message omits the value, which may be a misplaced password. */
export function invalid(path: string, origin: Origin, value: unknown, expected: string): JwtctlError {
  // Flags and variables are always strings, so the type says nothing of one.
  const found = typeof value === 'string' ? 'cannot have this value' : `is ${typeName(value)}`;
  return badValue(path, origin, `${found}; expected ${expected}`);
}

export function badValue(path: string, origin: Origin, problem: string): JwtctlError {
  // A problem in a list begins with the index.
  const where = problem.startsWith('[') ? path : `${path} `;
  const end = problem.endsWith('?') ? '' : '.';
  return new JwtctlError('ERR_CONFIG_VALUE_INVALID', `${originText(origin)}: ${where}${problem}${end}`, {
    details: { setting: path, origin: originText(origin) },
  });
}

export function assign(layer: Layer, setting: Setting, raw: unknown, origin: Origin, base: LayerBase): void {
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
