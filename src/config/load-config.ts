import { JwtctlError } from '../domain/shared/errors.js';
import { contradictions } from './check-settings.js';
import type { SettingPath, Settings, SettingsInput } from './settings.js';
import { fileLayers } from './sources/config-file.js';
import { type ConfigFile, findFiles, type ReplacedFile } from './sources/find-config-files.js';
import { flagsLayer } from './sources/flags.js';
import { treeLayer } from './sources/nested-values.js';
import { projectStoreNotice, secretsForProjectStores } from './sources/project-file-stores.js';
import { resolveLayers } from './sources/resolve-layers.js';
import type { Origin } from './sources/setting-origin.js';
import { variablesLayer, variablesOfOthers } from './sources/variables.js';
import { absolutePath, type Environment, type Places, placesOf } from './standard-paths.js';

export interface ConfigSources {
  /** Settings from a program that embeds jwtctl. They override every other source and may contain secrets. */
  readonly argument?: SettingsInput | undefined;
  readonly flags?: Readonly<Partial<Record<SettingPath, unknown>>> | undefined;
  /** `--config`. If set, no other file is read. Default: `JWTCTL_CONFIG` */
  readonly configFile?: string | undefined;
  /** `--profile`. Default: `JWTCTL_PROFILE` */
  readonly profile?: string | undefined;
  readonly env: Environment;
  readonly cwd: string;
  readonly replaced?: ReplacedFile | undefined;
  /** Default: true */
  readonly projectFile?: boolean | undefined;
  /** Default: `$HOME`, or the account's home folder */
  readonly homeDir?: string | undefined;
  /** Default: `/etc/jwtctl/config.yaml` */
  readonly systemFile?: string | undefined;
}

export interface Config {
  readonly settings: Settings;
  readonly origins: Readonly<Record<SettingPath, Origin>>;
  /** Highest precedence first. */
  readonly files: readonly ConfigFile[];
  readonly warnings: readonly string[];
  readonly storeNotice: string | null;
  readonly profile: string | null;
  /** The profiles of all files. */
  readonly profiles: readonly string[];
}

/**
 * Precedence, highest first: argument, flag, variable, project file, user file, system file, default. In a
 * file, the selected profile overrides the settings outside of profiles.
 *
 * @throws JwtctlError (usage) with one of the `ERR_CONFIG_…` codes
 */
export async function loadConfig(sources: ConfigSources): Promise<Config> {
  const { config, problems } = await readConfig(sources);
  const [first] = problems;
  if (first !== undefined) throw first;
  return config;
}

/** Returns all errors instead of throwing the first. `config` omits invalid settings. */
export async function readConfig(
  sources: ConfigSources,
): Promise<{ config: Config; problems: JwtctlError[] }> {
  const places = placesOf(sources.env, sources);
  const here = { directory: sources.cwd, places };
  const optionsOrigin: Origin = { source: 'argument', name: 'options', line: null, profile: null };
  const files = await readFiles(sources, places);
  const layers = [
    treeLayer(sources.argument, () => optionsOrigin, here),
    flagsLayer(sources.flags ?? {}, here),
    variablesLayer(sources.env, here),
    ...files.layers,
  ];
  const { settings, origins, problems: conflicts } = resolveLayers(layers, here);

  const problems = [
    ...layers.slice(0, 3).flatMap((layer) => layer.problems),
    ...files.problems,
    ...conflicts,
  ];
  if (problems.length === 0) {
    problems.push(
      ...contradictions(settings, origins),
      ...secretsForProjectStores(origins, files.considered),
    );
  }
  return {
    config: {
      settings,
      origins,
      files: files.considered,
      warnings: [
        ...files.warnings,
        ...(origins.data.source === 'default' ? variablesOfOthers(settings, sources.env) : []),
      ],
      storeNotice: projectStoreNotice(origins, files.considered),
      profile: files.profile,
      profiles: files.profiles,
    },
    problems,
  };
}

/** The layers are in order of precedence, the highest first. */
async function readFiles(sources: ConfigSources, places: Places) {
  const { env, cwd } = sources;
  const configFile = sources.configFile ?? (env.JWTCTL_CONFIG || null);
  const explicit = configFile === null ? null : (absolutePath(configFile, cwd, places) ?? configFile);
  const { replaced = null } = sources;
  const found = await findFiles({
    ...{ explicit, cwd: sources.projectFile === false ? null : cwd, replaced },
    ...places,
  });
  const files = await Promise.all(found.texts.map((file) => fileLayers(file, places)));

  const profile = sources.profile ?? (env.JWTCTL_PROFILE || null);
  const problems = [...found.problems];
  for (const file of files) {
    const layers = [file.base, ...file.profiles.values()];
    problems.push(...file.problems, ...layers.flatMap((layer) => layer.problems));
  }
  const names = new Set(files.flatMap((file) => [...file.profiles.keys()]));
  if (profile !== null && problems.length === 0 && !names.has(profile))
    problems.push(unknownProfile(profile, names));
  return {
    layers: files.flatMap(({ base, profiles }) => {
      const chosen = profile === null ? undefined : profiles.get(profile);
      return chosen === undefined ? [base] : [chosen, base];
    }),
    problems,
    warnings: [...found.warnings, ...files.flatMap((file) => file.warnings)],
    considered: found.considered,
    profile,
    profiles: [...names].sort(),
  };
}

function unknownProfile(profile: string, names: ReadonlySet<string>): JwtctlError {
  const known = [...names].sort().join(', ');
  const existing = known === '' ? 'No configuration file has profiles' : `Existing profiles: ${known}`;
  const message = `The profile ${profile} does not exist. ${existing}.`;
  return new JwtctlError('ERR_CONFIG_PROFILE_UNKNOWN', message, {
    details: { profile, known: [...names].sort() },
  });
}
