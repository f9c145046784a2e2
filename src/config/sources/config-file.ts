import { dirname } from 'node:path';
import { JwtctlError } from '../../domain/shared/errors.js';
import { socketPath } from '../../domain/shared/socket-path.js';
import type { SettingPath } from '../settings.js';
import type { Places } from '../standard-paths.js';
import type { FileText } from './find-config-files.js';
import { type Assignment, invalid, isSensitive, type Layer } from './layer.js';
import { isMap, treeLayer } from './nested-values.js';
import { type Origin, originText } from './setting-origin.js';
import { type ConfigDocument, parseDocument } from './yaml-document.js';

/** The settings of one file. Every profile is checked, not only the selected one. */
export interface FileLayers {
  readonly base: Layer;
  readonly profiles: ReadonlyMap<string, Layer>;
  readonly problems: JwtctlError[];
  readonly warnings: string[];
}

const PROFILE_NAME = /^[\w.-]{1,64}$/;

export async function fileLayers(file: FileText, places: Places): Promise<FileLayers> {
  const document = await parseDocument(file.path, file.text);
  if (document instanceof JwtctlError) {
    return {
      base: { assignments: [], problems: [] },
      profiles: new Map(),
      problems: [document],
      warnings: [],
    };
  }
  const where = { directory: dirname(file.path), places };
  const base = treeLayer(document.root, originIn(file, document, null), where, ['profiles']);
  const profiles = new Map<string, Layer>();
  const problems: JwtctlError[] = [];
  const declared = isMap(document.root) ? (document.root.profiles ?? {}) : {};
  const names = isMap(declared) ? Object.keys(declared) : [];
  if (!isMap(declared) || !names.every((name) => PROFILE_NAME.test(name))) {
    const origin = originIn(file, document, null)(['profiles']);
    problems.push(
      invalid('profiles', origin, declared, 'a map of names (1 to 64 of A-Z a-z 0-9 . _ -) to settings'),
    );
  } else {
    for (const name of names) {
      profiles.set(name, treeLayer(declared[name], originIn(file, document, name), where));
    }
  }

  const layers = [base, ...profiles.values()];
  if (file.kind === 'project') problems.push(...layers.flatMap((layer) => dropForbidden(layer, places)));
  const secret = layers.flatMap((layer) => layer.assignments).find(mayHoldSecret);
  const warnings =
    secret === undefined || file.readableByOthers === null
      ? []
      : [
          `${file.path} holds ${secret.setting.path}, and other users can read it. Run \`${file.readableByOthers}\`.`,
        ];
  return { base, profiles, problems, warnings };
}

/** A command line may contain a secret too. */
function mayHoldSecret({ setting, implied = [] }: Assignment): boolean {
  return setting.masked || implied.some(mayHoldSecret);
}

function originIn(file: FileText, document: ConfigDocument, profile: string | null) {
  const above = profile === null ? [] : ['profiles', profile];
  return (keys: readonly string[]): Origin =>
    file.originOf?.(keys.join('.')) ?? {
      source: 'file',
      name: file.path,
      line: document.lineOf([...above, ...keys]),
      profile,
    };
}

/** Removes the settings that a project file cannot set, and returns the errors. */
function dropForbidden(layer: Layer, places: Places): JwtctlError[] {
  const assignments = layer.assignments.splice(0);
  layer.assignments.push(...assignments.filter(mayStandInProjectFile));
  return assignments
    .filter((assignment) => !mayStandInProjectFile(assignment))
    .map((assignment) => notInProjectFile(assignment, places));
}

/** A cloned repository brings a project file, which must not control what jwtctl sends, runs, or accepts. */
function mayStandInProjectFile(assignment: Assignment): boolean {
  const { setting, implied = [] } = assignment;
  const turnsTlsOn = ({ setting: other, value }: Assignment) =>
    other.path.endsWith('.tls.enabled') && value === true;
  return (
    setting.inProjectFile &&
    !isSensitive(assignment) &&
    !isSocket(assignment) &&
    implied.every((other) => other.setting.inProjectFile || turnsTlsOn(other))
  );
}

/** The server trusts the account that connects to its socket, without a password. */
function isSocket({ setting, value }: Assignment): boolean {
  return setting.kind.type === 'mysqlUrl' && socketPath(String(value)) !== null;
}

function forbiddenPart(assignment: Assignment): string {
  if (isSocket(assignment)) return 'a socket';
  if (isSensitive(assignment)) return 'a password';
  const implies = (path: SettingPath) => assignment.implied?.some(({ setting }) => setting.path === path);
  if (implies('redis.username')) return 'a user';
  if (implies('redis.sentinelMaster')) return 'the name of a master';
  return 'TLS turned off';
}

function notInProjectFile(assignment: Assignment, places: Places): JwtctlError {
  const { setting, origin } = assignment;
  const withPassword = setting.inProjectFile ? ` with ${forbiddenPart(assignment)}` : '';
  const others = setting.flag === null ? setting.variable : `${setting.flag} or ${setting.variable}`;
  const message = `${originText(origin)}: a project file cannot set ${setting.path}${withPassword}.`;
  return new JwtctlError('ERR_CONFIG_FORBIDDEN_IN_PROJECT_FILE', message, {
    hint: `Set it in ${places.userFile} or ${places.systemFile}, or with ${others}. A file that you name with --config can set it too.`,
    details: { setting: setting.path, file: origin.name, line: origin.line },
  });
}
