import type { JwtctlError } from '../domain/shared/errors.js';
import { incompleteStores, namedFileFaults } from './check-settings.js';
import { type Config, type ConfigSources, readConfig } from './load-config.js';
import { plaintextWarnings } from './secrets/plaintext-warnings.js';
import { formatValue, jsonValue, MASK } from './setting-values.js';
import { SETTINGS, type Setting, type SettingPath, type Settings } from './settings.js';
import type { ConfigFile } from './sources/find-config-files.js';
import { originText } from './sources/setting-origin.js';

export interface ShownSetting {
  readonly setting: SettingPath;
  /** For programs: seconds, numbers, booleans, `host:port` strings; null if not set. Secrets are masked. */
  readonly value: unknown;
  /** For people, written as in a file; empty if not set. Secrets are masked. */
  readonly text: string;
  readonly origin: string;
  readonly variable: string;
  readonly flag: string | null;
  readonly doc: string;
}

export function showConfig(config: Pick<Config, 'settings' | 'origins'>): ShownSetting[] {
  return SETTINGS.map((setting) => {
    const { path, variable, flag, doc } = setting;
    const shown = shownValue(setting, valueAt(config.settings, path));
    return { setting: path, ...shown, origin: originText(config.origins[path]), variable, flag, doc };
  });
}

export interface ConfigVerdict {
  readonly problems: readonly JwtctlError[];
  readonly warnings: readonly string[];
  readonly files: readonly ConfigFile[];
}

/** Also checks that both stores are configured and the files named in settings are usable. */
export async function validateConfig(sources: ConfigSources): Promise<ConfigVerdict> {
  const { config, problems } = await readConfig(sources);
  const { settings, storeNotice, files } = config;
  // A setting that could not be read would look like a missing store.
  const stores = problems.length === 0 ? incompleteStores(settings) : null;
  const warnings = [
    ...(storeNotice === null ? [] : [storeNotice]),
    ...config.warnings,
    ...plaintextWarnings(settings),
  ];
  const faults = await namedFileFaults(settings, (text) => warnings.push(text));
  return { problems: [...problems, ...(stores === null ? [] : [stores]), ...faults], warnings, files };
}

function shownValue(setting: Setting, value: unknown): { value: unknown; text: string } {
  if (value === null) return { value: null, text: '' };
  if (setting.masked) return { value: MASK, text: MASK };
  return { value: jsonValue(setting.kind, value), text: formatValue(setting.kind, value) };
}

function valueAt(settings: Settings, path: SettingPath): unknown {
  let value: unknown = settings;
  for (const name of path.split('.')) value = (value as Record<string, unknown>)[name];
  return value;
}
