import { existsSync, realpathSync, statSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { type FileFault, isInherited, readTrusted } from '../../app/trusted-file.js';
import { decodeText } from '../../domain/shared/decode-text.js';
import { JwtctlError } from '../../domain/shared/errors.js';
import { openFault } from '../../domain/shared/open-fault.js';
import type { Origin } from './setting-origin.js';

export type FileKind = 'explicit' | 'project' | 'user' | 'system';

export interface ConfigFile {
  readonly kind: FileKind;
  readonly path: string;
  readonly exists: boolean;
}

export interface FileText extends ConfigFile {
  readonly text: string;
  /** A command that keeps other users from reading the file; null if they cannot read it. */
  readonly readableByOthers: string | null;
  readonly originOf?: ReplacedFile['originOf'];
}

/** Takes the place of the content of a file, which need not exist. */
export interface ReplacedFile {
  readonly path: string;
  readonly text: string;
  /** Returns where a value in `text` comes from; undefined for its line. */
  readonly originOf?: ((path: string) => Origin | undefined) | undefined;
}

export interface FileSearch {
  /** The absolute path from `--config` or JWTCTL_CONFIG. If set, no other file is read. */
  readonly explicit: string | null;
  /** Where the search starts; null to skip it. */
  readonly cwd: string | null;
  readonly replaced: ReplacedFile | null;
  readonly homeDir: string;
  readonly userFile: string;
  readonly systemFile: string;
}

export interface FoundFiles {
  /** Highest precedence first. */
  readonly considered: ConfigFile[];
  readonly texts: FileText[];
  readonly problems: JwtctlError[];
  readonly warnings: string[];
}

const PROJECT_NAMES = ['jwtctl.yaml', 'jwtctl.yml', 'jwtctl.json'];
const MAX_BYTES = 1_048_576;

export async function findFiles(search: FileSearch): Promise<FoundFiles> {
  const found: FoundFiles = { considered: [], texts: [], problems: [], warnings: [] };
  if (search.explicit !== null) {
    if (!(await addFile(found, 'explicit', search.explicit, search)))
      found.problems.push(missing(search.explicit));
    return found;
  }
  if (search.cwd !== null) {
    const project = nearestProjectFiles(search.cwd, search.homeDir);
    await addFile(found, 'project', project[0] ?? join(search.cwd, 'jwtctl.yaml'), search);
    if (project.length > 1)
      found.warnings.push(`Using ${project[0]} and ignoring ${project.slice(1).join(' and ')} next to it.`);
  }
  await addFile(found, 'user', search.userFile, search);
  await addFile(found, 'system', search.systemFile, search);
  return found;
}

async function addFile(
  found: FoundFiles,
  kind: FileKind,
  path: string,
  { replaced }: Pick<FileSearch, 'replaced'>,
): Promise<boolean> {
  const read = replaced?.path === path ? { ...replaced, readableByOthers: null } : await readText(kind, path);
  const exists = read !== 'missing';
  found.considered.push({ kind, path, exists });
  if (read instanceof JwtctlError) found.problems.push(read);
  else if (read !== 'missing') found.texts.push({ kind, path, exists, ...read });
  return exists;
}

/** A configuration file can choose where passwords are sent, so every file is checked. */
async function readText(
  kind: FileKind,
  path: string,
): Promise<Pick<FileText, 'text' | 'readableByOthers'> | 'missing' | JwtctlError> {
  try {
    // The shell has opened it: `--config <(sops --decrypt config.yaml)`.
    if (kind === 'explicit' && isInherited(path)) {
      return textOf(path, await readFile(path), null);
    }
    const { bytes, isTooLarge, fault, readableByOthers } = readTrusted(path, MAX_BYTES);
    if (fault !== null) return unsafe(kind, path, fault);
    if (isTooLarge) return tooLarge(path);
    return textOf(path, bytes, readableByOthers);
  } catch (cause) {
    const code = (cause as NodeJS.ErrnoException).code ?? 'unknown error';
    if (code === 'ENOENT' || code === 'ENOTDIR') return 'missing';
    const message = `The configuration file ${path} ${openFault(code)}.`;
    return new JwtctlError('ERR_CONFIG_FILE_UNREADABLE', message, { details: { file: path }, cause });
  }
}

function textOf(path: string, bytes: Buffer, readableByOthers: string | null) {
  const { text, fault } = decodeText(bytes);
  if (text !== null) return { text, readableByOthers };
  return new JwtctlError('ERR_CONFIG_FILE_UNREADABLE', `The configuration file ${path} ${fault}.`, {
    details: { file: path },
  });
}

function unsafe(kind: FileKind, path: string, { reason, remedy }: FileFault): JwtctlError {
  const what = kind === 'project' ? 'project file' : 'configuration file';
  return new JwtctlError('ERR_CONFIG_FILE_UNSAFE', `The ${what} ${path} cannot be trusted: ${reason}.`, {
    hint: remedy,
    details: { file: path },
  });
}

function tooLarge(path: string): JwtctlError {
  const message = `The configuration file ${path} is larger than ${MAX_BYTES} bytes.`;
  return new JwtctlError('ERR_CONFIG_FILE_UNREADABLE', message, { details: { file: path } });
}

function missing(path: string): JwtctlError {
  return new JwtctlError('ERR_CONFIG_FILE_MISSING', `The configuration file ${path} does not exist.`, {
    details: { file: path },
  });
}

function nearestProjectFiles(cwd: string, homeDir: string): string[] {
  for (const folder of projectFolders(cwd, homeDir)) {
    const files = PROJECT_NAMES.map((name) => join(folder, name)).filter(isFile);
    if (files.length > 0) return files;
  }
  return [];
}

/** Goes up to the repository root or home folder. Outside both, only the working directory counts. */
function projectFolders(cwd: string, homeDir: string): string[] {
  const folders: string[] = [];
  const home = withoutLinks(homeDir);
  for (let folder = cwd; ; folder = dirname(folder)) {
    folders.push(folder);
    // An account without a home folder has `/` as its home.
    const isHome = folder === home && folder !== '/';
    if (isHome || existsSync(join(folder, '.git'))) return folders;
    if (dirname(folder) === folder) return [cwd];
  }
}

/** Resolves links, because the home folder may be one, while the working directory never contains any. */
function withoutLinks(folder: string): string {
  try {
    return realpathSync(folder);
  } catch {
    return folder;
  }
}

/** Returns false even if only a parent folder is not accessible. */
function isFile(path: string): boolean {
  try {
    return statSync(path).isFile();
  } catch {
    return false;
  }
}
