import { JwtctlError } from '../../domain/shared/errors.js';
import { nearest } from '../../domain/shared/nearest.js';
import { SETTINGS, settingOf } from '../settings.js';
import { assign, badValue, invalid, type Layer, type LayerBase, missingValue } from './layer.js';
import { type Origin, originText } from './setting-origin.js';
import { didYouMean, synonymOf } from './setting-synonyms.js';

const GROUPS = new Set(SETTINGS.flatMap(({ path }) => prefixesOf(path)));
/** Groups in which every setting restricts, such as `mysql.tls`. */
const RESTRICTING_GROUPS = new Set(
  [...GROUPS].filter((group) =>
    SETTINGS.every(({ path, restricts }) => restricts || !path.startsWith(`${group}.`)),
  ),
);

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
        else if (value === null && setting.restricts) layer.problems.push(missingValue(path, originOf(keys)));
        seen.add(path);
      } else if (GROUPS.has(path)) {
        if (RESTRICTING_GROUPS.has(path) && isEmpty(value))
          layer.problems.push(missingValue(path, originOf(keys)));
        else if (isMap(value)) walk(value, keys);
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

function isEmpty(value: unknown): boolean {
  return value === null || (isMap(value) && Object.keys(value).length === 0);
}

export function isMap(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
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

function mapOf(group: string): string {
  const example = SETTINGS.find(({ path }) => path.startsWith(`${group}.`));
  return `a map of settings such as ${example?.path}`;
}

/** Returns `mysql` and `mysql.tls` for `mysql.tls.ca`. */
function prefixesOf(path: string): string[] {
  return path.split('.').flatMap((_, index, parts) => (index === 0 ? [] : [parts.slice(0, index).join('.')]));
}
