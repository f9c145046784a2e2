import { type FileHandle, lstat, open, unlink } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import type { PrivateFile } from '../domain/ports/index.js';
import { JwtctlError } from '../domain/shared/errors.js';
import { excerpt, hasControlCharacter } from '../domain/shared/text.js';

const MAX_PATH_CHARACTERS = 900;

/** Fails if the name exists, even as a link, so no other user can redirect the write or keep a file open. */
export function createPrivateFile(name: string, cwd: string): PrivateFile {
  const path = resolve(cwd, name);
  if (path.length > MAX_PATH_CHARACTERS || hasControlCharacter(path) || !path.isWellFormed()) {
    const message = `The file ${excerpt(path)} cannot be created: the audit log cannot store its path.`;
    throw new JwtctlError('ERR_FILE_NAME_INVALID', message, {
      hint: `Use a path of at most ${MAX_PATH_CHARACTERS} characters, without line breaks or other control characters.`,
    });
  }
  let handle: FileHandle | undefined;
  const close = async () => {
    await handle?.close();
    handle = undefined;
  };
  return {
    path,
    assertFree: async () => {
      const isTaken = await lstat(path).then(
        () => true,
        () => false,
      );
      if (isTaken) throw taken(path);
    },
    create: async () => {
      try {
        handle = await open(path, 'wx', 0o600);
        await syncFolder(dirname(path));
      } catch (error) {
        throw unwritable(path, error as NodeJS.ErrnoException);
      }
    },
    append: async (text) => {
      try {
        await handle?.appendFile(text);
        await handle?.sync();
      } catch (error) {
        throw unwritable(path, error as NodeJS.ErrnoException);
      }
    },
    close,
    // The caller reports the original error.
    discard: async () => {
      await close().catch(() => {});
      await unlink(path).catch(() => {});
    },
  };
}

/** Makes the name of a new file durable. Ignores file systems that do not support this. */
export async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, 'r').catch(() => null);
  await handle?.sync().catch(() => {});
  await handle?.close();
}

/** A full or failing disk is not a fault of the command line, and a later run may succeed. */
export function unwritable(path: string, error: NodeJS.ErrnoException): JwtctlError {
  if (error.code === 'EEXIST') return taken(path);
  return new JwtctlError('ERR_FILE_UNWRITABLE', `The file ${path} cannot be written (${error.code}).`, {
    kind: DISK_FAULTS.has(error.code) ? 'unavailable' : 'usage',
    cause: error,
  });
}

const DISK_FAULTS: ReadonlySet<string | undefined> = new Set(['ENOSPC', 'EDQUOT', 'EIO']);

function taken(path: string): JwtctlError {
  return new JwtctlError('ERR_FILE_EXISTS', `The file ${path} already exists.`);
}
