import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { Document, Pair, YAMLMap } from 'yaml';
import { JwtctlError } from '../domain/shared/errors.js';
import type { ConfigSources } from './load-config.js';
import { embeddedKeyringFile } from './secrets/secret-files.js';
import { expectedOf, formatValue, MASK, problemOf, readValue } from './setting-values.js';
import { SETTINGS, type SettingPath, type Settings, settingOf } from './settings.js';
import { fileLayers } from './sources/config-file.js';
import { flagOrigin, type Origin, variableOrigin } from './sources/setting-origin.js';
import { loadYaml } from './sources/yaml-document.js';
import { absolutePath, type Environment, placesOf } from './standard-paths.js';

/** What to write into a configuration file: text as in a file; null removes the setting. */
export type Edits = ReadonlyMap<SettingPath, string | null>;
type EditMap = Map<SettingPath, string | null>;

/** Where the values of edits come from, for messages: the file does not have them yet. */
export type EditOrigins = ReadonlyMap<SettingPath, Origin>;

export interface EditedFile {
  text: string;
  changes: Change[];
}

/** Secrets are masked. Null: not set in the file. */
export interface Change {
  setting: SettingPath;
  before: string | null;
  after: string | null;
}

/** Returns the file that `--config` names, or else the first one that exists, or the one that suits the account. */
export function chooseTarget(sources: ConfigSources): string {
  const places = placesOf(sources.env, sources);
  const named = sources.configFile ?? (sources.env.JWTCTL_CONFIG || null);
  if (named !== null) return absolutePath(named, sources.cwd, places) ?? named;
  const present = [places.userFile, places.systemFile].find((file) => existsSync(file));
  return present ?? (process.getuid?.() === 0 ? places.systemFile : places.userFile);
}

/**
 * Returns the values of flags, and of variables that hold no secret: the file then has them without the variables.
 * Leaves out `--timeout`, which is for this command.
 */
export function givenSettings(sources: ConfigSources) {
  const edits: EditMap = new Map();
  const origins = new Map<SettingPath, Origin>();
  for (const { path, flag, variable, class: settingClass } of SETTINGS) {
    const inFlag = sources.flags?.[path];
    const raw = inFlag ?? (settingClass === 'secret' ? undefined : sources.env[variable] || undefined);
    if (raw === undefined || path === 'timeout' || settingClass === 'structure') continue;
    const given = readAnswer(path, String(raw), sources);
    if ('problem' in given) continue;
    for (const [name, value] of given.edits) {
      edits.set(name, value);
      origins.set(name, flag !== null && inFlag !== undefined ? flagOrigin(flag) : variableOrigin(variable));
    }
  }
  return { edits, origins };
}

/** Leaves out the flags and variables of settings that are edited, so that the edits count. */
export function withoutVariables(sources: ConfigSources, edits: Edits): ConfigSources {
  const env = { ...sources.env };
  for (const path of edits.keys()) delete env[settingOf(path).variable];
  const { timeout } = sources.flags ?? {};
  return { ...sources, env, flags: edits.size === 0 ? sources.flags : { timeout } };
}

/** Returns whether the value of a setting is hidden. */
export function isMasked(path: SettingPath): boolean {
  return settingOf(path).masked;
}

/** Returns where a new master key file goes. */
export function defaultKeyring(file: string, data: string | null): string {
  return data === null ? join(dirname(file), 'master.key') : embeddedKeyringFile({ data });
}

/** Returns the variables that are set for these settings, and so override the file. */
export function variablesFor({ env }: ConfigSources, edits: Edits): string[] {
  return [...edits.keys()].map((path) => settingOf(path).variable).filter((name) => env[name]);
}

export function unanswered(path: SettingPath): JwtctlError {
  const { flag, variable, doc } = settingOf(path);
  return new JwtctlError('ERR_CONFIG_INCOMPLETE', `${path} is not set, and this command cannot ask for it.`, {
    hint: `Set ${flag ?? variable}: ${doc}`,
    details: { setting: path, variable },
  });
}

/** An answer as a setting, with what an address says about other settings, such as a password. */
export type ReadAnswer = { problem: string } | { edits: Edits };

export function readAnswer(
  path: SettingPath,
  text: string,
  sources: { env: Environment; cwd: string },
): ReadAnswer {
  const { kind } = settingOf(path);
  const places = placesOf(sources.env, {});
  const read = readValue(kind, text, sources.cwd, places);
  if (read === null) {
    return { problem: problemOf(kind, text, sources.cwd, places) ?? `Expected ${expectedOf(kind)}.` };
  }
  const edits = new Map<SettingPath, string | null>([[path, formatValue(kind, read.value)]]);
  for (const [name, value] of Object.entries(read.implied ?? {})) {
    const implied = settingOf(name as SettingPath);
    edits.set(implied.path, formatValue(implied.kind, value));
  }
  return { edits };
}

/** Returns a valid answer without its secrets. */
export function shownAnswer(
  path: SettingPath,
  text: string,
  sources: { env: Environment; cwd: string },
): string {
  if (settingOf(path).masked) return MASK;
  const answer = readAnswer(path, text, sources);
  return ('edits' in answer ? answer.edits.get(path) : null) ?? text;
}

export function answerOrigin(question: string): Origin {
  return {
    source: 'answer',
    name: `the answer to "${question.replace(/[?:]$/, '')}"`,
    line: null,
    profile: null,
  };
}

/** Returns the embedded store that does not exist yet; null if it exists, or MySQL is used. */
export function missingStore({ data, mysql }: Settings): string | null {
  return mysql.url === null && !existsSync(data) ? data : null;
}

/** Returns a value as {@link readAnswer} reads it; null if the setting has none. */
export function textOfSetting(settings: Settings, path: SettingPath): string | null {
  let value: unknown = settings;
  for (const name of path.split('.')) value = (value as Record<string, unknown>)[name];
  return value === null ? null : formatValue(settingOf(path).kind, value);
}

/**
 * Changes the text of a configuration file. Keeps its other settings and its comments, and explains each new setting
 * with a comment.
 *
 * @throws JwtctlError `ERR_CONFIG_FILE_NOT_EDITABLE` (usage) if the file has a form that cannot be edited
 */
export async function editConfig(
  file: { path: string; text: string | null; profile: string | null },
  edits: Edits,
  sources: { env: Environment; cwd: string },
): Promise<EditedFile> {
  const yaml = await loadYaml();
  if (file.path.endsWith('.json')) throw uneditable(file.path, 'JSON has no comments');
  const places = placesOf(sources.env, {});
  const document = yaml.parseDocument(file.text ?? '');
  const above = file.profile === null ? [] : ['profiles', file.profile];
  const changes: Change[] = [];
  const read = (path: SettingPath, value: unknown) =>
    readValue(settingOf(path).kind, yaml.isNode(value) ? value.toJSON() : value, dirname(file.path), places);
  const shown = (path: SettingPath, value: unknown) => {
    if (value === undefined || value === null) return null;
    const { kind, masked } = settingOf(path);
    const found = read(path, value);
    return masked ? MASK : found === null ? '' : formatValue(kind, found.value);
  };
  const all = withoutRivals(edits);
  /** Addresses that lose what they say about other settings, such as a password. */
  const split = new Set<SettingPath>();
  for (const address of ADDRESSES) {
    const present = document.getIn([...above, ...address.split('.')]);
    const implied = Object.entries(read(address, present)?.implied ?? {}) as Array<[SettingPath, unknown]>;
    const text = shown(address, present);
    const isReplaced = all.has(address) && all.get(address) !== text;
    if (!isReplaced && !implied.some(([path]) => all.has(path))) continue;
    split.add(address);
    if (!all.has(address)) all.set(address, text);
    for (const [path, value] of implied)
      if (!all.has(path)) all.set(path, formatValue(settingOf(path).kind, value));
  }
  try {
    if (above.length > 0 && !document.hasIn(above)) document.setIn(above, document.createNode({}));
    if (file.text === null) document.commentBefore = ` ${HEADER}`;
    for (const [path, value] of all) {
      const keys = [...above, ...path.split('.')];
      const present = document.getIn(keys);
      const before = shown(path, present);
      // A masked value always looks the same.
      const isSame = settingOf(path).masked ? (present ?? null) === value : before === value;
      if (isSame && !split.has(path)) continue;
      changes.push({ setting: path, before, after: shown(path, value) });
      if (value === null) remove(document, keys);
      else if (document.hasIn(keys)) document.setIn(keys, inFile(path, value));
      else add(yaml, document, keys, path, value);
    }
  } catch {
    throw uneditable(file.path, 'it uses a form of YAML that cannot be edited, such as an alias');
  }
  const text = document.toString({ lineWidth: 0 });
  const edited = { kind: 'explicit', path: file.path, exists: true, text, readableByOthers: null } as const;
  const { problems, base, profiles } = await fileLayers(edited, places);
  const layers = [base, ...profiles.values()];
  const [problem] = [...problems, ...layers.flatMap((layer) => layer.problems)];
  if (problem !== undefined) throw problem;
  return { text, changes };
}

const HEADER =
  'The configuration of jwtctl. `jwtctl config show` lists every setting, and where its value comes from.';

const ADDRESSES = ['mysql.url', 'redis.nodes'] as const;

/** Removes the other settings that set the same value, such as the password. */
function withoutRivals(edits: Edits): EditMap {
  const all: EditMap = new Map(edits);
  for (const [path, value] of edits) {
    const { alternative } = settingOf(path);
    if (value === null || alternative === null) continue;
    for (const rival of SETTINGS)
      if (rival.alternative === alternative && !edits.has(rival.path)) all.set(rival.path, null);
  }
  return all;
}

function inFile(path: SettingPath, value: string): unknown {
  return settingOf(path).kind.type === 'boolean' ? value === 'true' : value;
}

function add(
  yaml: typeof import('yaml'),
  document: Document,
  keys: readonly string[],
  path: SettingPath,
  value: string,
): void {
  document.setIn(keys, inFile(path, value));
  const map = document.getIn(keys.slice(0, -1)) as YAMLMap | undefined;
  const items = (keys.length === 1 ? (document.contents as unknown as YAMLMap) : map)?.items as Pair[];
  const pair = items.at(-1);
  if (pair === undefined) return;
  const key = new yaml.Scalar(keys.at(-1));
  key.commentBefore = wrapped(settingOf(path).doc);
  pair.key = key;
}

/** Removes a setting, and a group that is then empty. */
function remove(document: Document, keys: readonly string[]): void {
  if (!document.hasIn(keys)) return;
  document.deleteIn(keys);
  const group = keys.slice(0, -1);
  const map = group.length === 0 ? undefined : (document.getIn(group) as YAMLMap | undefined);
  if (map?.items.length === 0) remove(document, group);
}

const COMMENT_WIDTH = 96;

function wrapped(text: string): string {
  const lines = [''];
  for (const word of text.split(' ')) {
    const line = lines.at(-1) ?? '';
    if (`${line} ${word}`.length > COMMENT_WIDTH) lines.push(` ${word}`);
    else lines[lines.length - 1] = `${line} ${word}`;
  }
  return lines.join('\n');
}

function uneditable(path: string, reason: string): JwtctlError {
  return new JwtctlError('ERR_CONFIG_FILE_NOT_EDITABLE', `The file ${path} cannot be edited: ${reason}.`, {
    details: { file: path },
  });
}
