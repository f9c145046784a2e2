import { closeSync, fstatSync, openSync, readFileSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { JwtctlError } from '../domain/errors.js';

/** Where a file was found decides how far it is trusted: a project file cannot set secrets or commands. */
export type FileKind = 'explicit' | 'project' | 'user' | 'system';

export interface ConfigFile {
  readonly kind: FileKind;
  readonly path: string;
  /** An existing one is read. */
  readonly exists: boolean;
}

export interface FileText extends ConfigFile {
  readonly text: string;
  readonly mode: number;
  readonly ownerUid: number;
}

export interface FileSearch {
  /** `--config` or its variable, absolute: read instead of all others. */
  readonly explicit: string | null;
  readonly cwd: string;
  readonly userFile: string;
  readonly systemFile: string;
}

export interface FoundFiles {
  /** All that were considered, the strongest first. */
  readonly considered: ConfigFile[];
  /** Those of them that exist. */
  readonly texts: FileText[];
  readonly problems: JwtctlError[];
  readonly warnings: string[];
}

const PROJECT_NAMES = ['jwtctl.yaml', 'jwtctl.yml', 'jwtctl.json'];
const OTHERS_WRITE = 0o022;
const OTHERS_READ = 0o044;

export function findFiles(search: FileSearch): FoundFiles {
  const found: FoundFiles = { considered: [], texts: [], problems: [], warnings: [] };
  if (search.explicit !== null) {
    if (!take(found, 'explicit', search.explicit)) found.problems.push(missing(search.explicit));
    return found;
  }
  const project = nearestProjectFiles(search.cwd);
  take(found, 'project', project[0] ?? join(search.cwd, 'jwtctl.yaml'));
  if (project.length > 1)
    found.warnings.push(`${project[0]} is used; ${project.slice(1).join(' and ')} beside it is not.`);
  take(found, 'user', search.userFile);
  take(found, 'system', search.systemFile);
  return found;
}

/**
 * Why a file with a secret or a command in it cannot be trusted, or what should be changed about it.
 *
 * @param ownUid null where there are no such owners (Windows)
 */
export function judgeSafety(
  file: { mode: number; ownerUid: number },
  ownUid: number | null,
): 'safe' | 'others_own' | 'others_write' | 'others_read' {
  if (ownUid === null) return 'safe';
  if (file.ownerUid !== ownUid && file.ownerUid !== 0) return 'others_own';
  if ((file.mode & OTHERS_WRITE) !== 0) return 'others_write';
  return (file.mode & OTHERS_READ) !== 0 ? 'others_read' : 'safe';
}

/** Reads the file into `found`; false where there is none. */
function take(found: FoundFiles, kind: FileKind, path: string): boolean {
  const read = readText(path);
  const exists = read !== 'missing';
  found.considered.push({ kind, path, exists });
  if (read instanceof JwtctlError) found.problems.push(read);
  else if (read !== 'missing') found.texts.push({ kind, path, exists, ...read });
  return exists;
}

/** One descriptor for all, so that what is judged is what was read. */
function readText(path: string): Pick<FileText, 'text' | 'mode' | 'ownerUid'> | 'missing' | JwtctlError {
  let descriptor: number | undefined;
  try {
    descriptor = openSync(path, 'r');
    const { mode, uid } = fstatSync(descriptor);
    return { text: readFileSync(descriptor, 'utf8'), mode, ownerUid: uid };
  } catch (cause) {
    const code = (cause as NodeJS.ErrnoException).code ?? 'unknown error';
    if (code === 'ENOENT' || code === 'ENOTDIR') return 'missing';
    return new JwtctlError(
      'usage',
      'ERR_CONFIG_FILE_UNREADABLE',
      `The configuration file ${path} cannot be read (${code}).`,
      {
        hint: 'Give the account that runs jwtctl access to it, or name another file with --config.',
        details: { file: path },
        cause,
      },
    );
  } finally {
    if (descriptor !== undefined) closeSync(descriptor);
  }
}

function missing(path: string): JwtctlError {
  return new JwtctlError(
    'usage',
    'ERR_CONFIG_FILE_MISSING',
    `The configuration file ${path} does not exist.`,
    {
      hint: 'Run `jwtctl config path` without --config to see where configuration is looked for.',
      details: { file: path },
    },
  );
}

/** Those of the nearest directory that has any, the one that counts first. */
function nearestProjectFiles(cwd: string): string[] {
  for (let directory = cwd; ; directory = dirname(directory)) {
    const files = PROJECT_NAMES.map((name) => join(directory, name)).filter(isFile);
    if (files.length > 0 || dirname(directory) === directory) return files;
  }
}

/** False also where a directory above cannot be looked into: an account started from another's home finds nothing there. */
function isFile(path: string): boolean {
  try {
    return statSync(path).isFile();
  } catch {
    return false;
  }
}
