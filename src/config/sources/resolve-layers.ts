import { JwtctlError } from '../../domain/shared/errors.js';
import { readValue } from '../setting-values.js';
import { SETTINGS, type SettingPath, type Settings, settingOf } from '../settings.js';
import type { Assignment, Layer, LayerBase } from './layer.js';
import { DEFAULT_ORIGIN, type Origin, originText } from './setting-origin.js';

export interface Resolved {
  readonly settings: Settings;
  readonly origins: Readonly<Record<SettingPath, Origin>>;
  readonly problems: JwtctlError[];
}

interface Chosen {
  readonly value: unknown;
  readonly origin: Origin;
  /** Lower is stronger. */
  readonly rank: number;
}
type Choice = Map<SettingPath, Chosen>;

export function resolveLayers(layers: readonly Layer[], base: LayerBase): Resolved {
  const choice: Choice = new Map();
  const problems: JwtctlError[] = [];
  for (const [rank, layer] of layers.entries()) {
    for (const { setting, value, origin } of inForce(layer, choice)) {
      const rival =
        setting.alternative === null ? undefined : rivalOf(choice, setting.path, setting.alternative);
      const same = choice.get(setting.path);
      if (rival?.[1].rank === rank) problems.push(bothSet(rival[0], setting.path, origin));
      else if (same?.rank === rank && same.value !== value) problems.push(setTwice(setting.path, origin));
      // If a stronger layer sets one alternative, a weaker layer cannot add another.
      else if (rival === undefined && same === undefined) choice.set(setting.path, { value, origin, rank });
    }
  }
  impliedTls(choice, 'mysql');
  impliedTls(choice, 'redis');
  return { ...completed(choice, base), problems };
}

/** The settings of a layer, and those in its addresses that no stronger layer replaces. */
function inForce({ assignments }: Layer, stronger: Choice): Assignment[] {
  const implied = assignments
    .filter(({ setting }) => !stronger.has(setting.path))
    .flatMap((assignment) => assignment.implied ?? []);
  return [...assignments, ...implied];
}

function setTwice(path: SettingPath, origin: Origin): JwtctlError {
  return new JwtctlError(
    'ERR_CONFIG_VALUE_INVALID',
    `${originText(origin)}: the address and ${path} contradict each other. Remove one of them.`,
    { details: { settings: [path], origin: originText(origin) } },
  );
}

function rivalOf(choice: Choice, path: SettingPath, alternative: string): [SettingPath, Chosen] | undefined {
  return [...choice].find(([other]) => other !== path && settingOf(other).alternative === alternative);
}

function bothSet(one: SettingPath, other: SettingPath, origin: Origin): JwtctlError {
  const what = settingOf(other).alternative;
  const message = `${originText(origin)}: ${one} and ${other} both set ${what}. Remove one of them.`;
  return new JwtctlError('ERR_CONFIG_VALUE_INVALID', message, {
    details: { settings: [one, other], origin: originText(origin) },
  });
}

function impliedTls(choice: Choice, store: 'mysql' | 'redis'): void {
  const tlsSetting =
    choice.get(`${store}.tls.ca`) ?? choice.get(`${store}.tls.cert`) ?? choice.get(`${store}.tls.key`);
  if (tlsSetting === undefined || choice.has(`${store}.tls.enabled`)) return;
  choice.set(`${store}.tls.enabled`, { ...tlsSetting, value: true });
}

function completed(choice: Choice, base: LayerBase): Pick<Resolved, 'settings' | 'origins'> {
  const settings: Record<string, unknown> = {};
  const origins: Partial<Record<SettingPath, Origin>> = {};
  for (const { path, kind, fallback } of SETTINGS) {
    const chosen = choice.get(path);
    const byDefault = fallback === null ? null : readValue(kind, fallback, base.directory, base.places);
    setAt(settings, path.split('.'), chosen === undefined ? (byDefault?.value ?? null) : chosen.value);
    origins[path] = chosen?.origin ?? DEFAULT_ORIGIN;
  }
  // Both types derive from the declarations, and the loop above covers each of them.
  return { settings: settings as unknown as Settings, origins: origins as Record<SettingPath, Origin> };
}

function setAt(tree: Record<string, unknown>, [name = '', ...rest]: string[], value: unknown): void {
  if (rest.length === 0) {
    tree[name] = value;
    return;
  }
  tree[name] ??= {};
  setAt(tree[name] as Record<string, unknown>, rest, value);
}
