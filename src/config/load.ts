import { JwtctlError } from '../domain/shared/errors.js';
import { contradictions } from './checks.js';
import { fileLayers } from './file-layers.js';
import { type ConfigFile, findFiles } from './files.js';
import { flagsLayer, type Layer, treeLayer, variablesLayer } from './layers.js';
import type { Origin } from './origin.js';
import { absolutePath, type Environment, type Places, placesOf } from './places.js';
import { projectStoreNotice, secretsForProjectStores } from './project-store.js';
import { resolveLayers } from './resolve.js';
import type { SettingPath, Settings, SettingsInput } from './settings.js';

export interface ConfigSources {
  /** What a program that embeds jwtctl sets; it beats everything else and may hold secrets. */
  readonly argument?: SettingsInput | undefined;
  /** By setting: `{ 'token.ttl': '2h' }`. */
  readonly flags?: Readonly<Partial<Record<SettingPath, unknown>>> | undefined;
  /** `--config`: read instead of project, user and system file. Without it `JWTCTL_CONFIG`. */
  readonly configFile?: string | undefined;
  /** `--profile`. Without it `JWTCTL_PROFILE`. */
  readonly profile?: string | undefined;
  readonly env: Environment;
  /** Absolute. The project file is searched from here upward. */
  readonly cwd: string;
  /** Whether to look for a project file. Default: true */
  readonly projectFile?: boolean | undefined;
  /** Instead of `$HOME` or the account's own. */
  readonly homeDir?: string | undefined;
  /** Instead of `/etc/jwtctl/config.yaml`. */
  readonly systemFile?: string | undefined;
}

export interface Config {
  readonly settings: Settings;
  readonly origins: Readonly<Record<SettingPath, Origin>>;
  /** All files that were considered, the strongest first. */
  readonly files: readonly ConfigFile[];
  /** For a person, each with what to do. */
  readonly warnings: readonly string[];
  /** A line for the user if a project file sets a store; otherwise null. */
  readonly storeNotice: string | null;
  readonly profile: string | null;
}

/**
 * Finds, reads, checks and combines the configuration. From the strongest: argument, flag, variable, project file, user
 * file, system file, default; within a file the chosen profile, then what stands outside of profiles.
 *
 * @throws JwtctlError (usage)
 * - `ERR_CONFIG_FILE_MISSING`: the file named by `--config` is not there
 * - `ERR_CONFIG_FILE_UNREADABLE`: a file is there and cannot be read
 * - `ERR_CONFIG_SYNTAX`: a file is neither YAML nor JSON
 * - `ERR_CONFIG_FILE_UNSAFE`: a user other than the account and root could change a file
 * - `ERR_CONFIG_FORBIDDEN_IN_PROJECT_FILE`, `ERR_CONFIG_SECRET_IN_FLAG`: a secret or a command where it must not stand
 * - `ERR_CONFIG_FORBIDDEN_IN_PROJECT_FILE`: a setting that a project file cannot set
 * - `ERR_CONFIG_SECRET_FOR_PROJECT_ADDRESS`: a secret from another place would be sent to a store that a project file sets
 * - `ERR_CONFIG_SETTING_UNKNOWN`, `ERR_CONFIG_VARIABLE_UNKNOWN`, `ERR_CONFIG_PROFILE_UNKNOWN`: there is no such thing
 * - `ERR_CONFIG_VALUE_INVALID`: a value is not of its kind, or contradicts another
 * - `ERR_CONFIG_INCOMPLETE`: a setting needs another one that is not set
 */
export async function loadConfig(sources: ConfigSources): Promise<Config> {
  const { config, problems } = await readConfig(sources);
  const [first] = problems;
  if (first !== undefined) throw first;
  return config;
}

/**
 * What {@link loadConfig} does, with all that is wrong as an outcome. Settings that cannot be read are left out of
 * `config`, and contradictions are looked for once all can be read.
 */
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
      warnings: files.warnings,
      storeNotice: projectStoreNotice(origins, files.considered),
      profile: files.profile,
    },
    problems,
  };
}

interface ReadFiles {
  /** Those that count, the strongest first. */
  readonly layers: Layer[];
  readonly problems: JwtctlError[];
  readonly warnings: string[];
  readonly considered: ConfigFile[];
  readonly profile: string | null;
}

async function readFiles(sources: ConfigSources, places: Places): Promise<ReadFiles> {
  const { env, cwd } = sources;
  const named = sources.configFile ?? (env.JWTCTL_CONFIG || null);
  const explicit = named === null ? null : (absolutePath(named, cwd, places) ?? named);
  const found = await findFiles({ explicit, cwd: sources.projectFile === false ? null : cwd, ...places });
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
  };
}

function unknownProfile(profile: string, names: ReadonlySet<string>): JwtctlError {
  const known = [...names].sort().join(', ');
  return new JwtctlError(
    'ERR_CONFIG_PROFILE_UNKNOWN',
    `There is no profile ${profile}; ${known === '' ? 'no configuration file has profiles' : `there are: ${known}`}.`,
    {
      hint: 'Run `jwtctl config path` for the files that are read.',
      details: { profile, known: [...names].sort() },
    },
  );
}
