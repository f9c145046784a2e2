import { randomBytes } from 'node:crypto';
import { type FileHandle, lstat, mkdir, open, readFile, rename, unlink } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import type { PublicFile } from '../domain/ports/index.js';
import { JwtctlError } from '../domain/shared/errors.js';
import { syncFolder, unwritable } from './private-file.js';

const EVERYONE_READS = 0o644;
const OWNER_READS = 0o600;

/** A file for a web server. Readers see the old content or the new one, and nothing in between. */
export function openPublicFile(name: string, cwd: string): PublicFile {
  return openReplacedFile(name, cwd, EVERYONE_READS);
}

/** The same, but only its owner may read it. */
export function openOwnFile(
  name: string,
  cwd: string,
  { createFolder = false }: OwnFileOptions = {},
): PublicFile {
  const file = openReplacedFile(name, cwd, OWNER_READS);
  if (!createFolder) return file;
  const create = async () => {
    await mkdir(dirname(file.path), { recursive: true, mode: 0o700 }).catch((error) => {
      throw unwritable(file.path, error);
    });
  };
  return { ...file, replace: async (text) => create().then(() => file.replace(text)) };
}

export interface OwnFileOptions {
  /** Whether `replace` creates the folder, for its owner alone. Default: false */
  createFolder?: boolean;
}

function openReplacedFile(name: string, cwd: string, mode: number): PublicFile {
  const path = resolve(cwd, name);
  return {
    path,
    read: async () => {
      try {
        // A rename would replace a device or a link itself.
        if (!(await lstat(path)).isFile()) throw notRegular(path);
        return await readFile(path, 'utf8');
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
        throw error instanceof JwtctlError ? error : unwritable(path, error as NodeJS.ErrnoException);
      }
    },
    replace: async (text) => {
      // In the same folder, because a rename is atomic only within a file system.
      const draft = join(dirname(path), `.${basename(path)}.${randomBytes(6).toString('hex')}`);
      let handle: FileHandle | undefined;
      try {
        handle = await open(draft, 'wx', mode);
        await handle.writeFile(text);
        // The umask may have taken the rights of readers.
        await handle.chmod(mode);
        await handle.sync();
        await handle.close();
        await rename(draft, path);
        await syncFolder(dirname(path));
      } catch (error) {
        await handle?.close().catch(() => {});
        await unlink(draft).catch(() => {});
        throw unwritable(path, error as NodeJS.ErrnoException);
      }
    },
  };
}

function notRegular(path: string): JwtctlError {
  return new JwtctlError('ERR_FILE_UNWRITABLE', `${path} is not a regular file.`, {
    hint: 'Pass the path of a regular file, or of a new one.',
  });
}
