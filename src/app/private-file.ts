import { type FileHandle, lstat, open, unlink } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import type { PrivateFile } from '../domain/ports/index.js';
import { JwtctlError } from '../domain/shared/errors.js';
import { excerpt, hasControlCharacter } from '../domain/shared/text.js';

const MAX_PATH_CHARACTERS = 900;

/**
 * A file for what only its owner may read. It is made where nothing of its name is, not even a link: nobody can have it
 * written elsewhere, or keep open what it replaces.
 *
 * @throws JwtctlError `ERR_FILE_NAME_INVALID` (usage) for a name that the audit log cannot hold
 */
export function createPrivateFile(name: string, cwd: string): PrivateFile {
  const path = resolve(cwd, name);
  if (path.length > MAX_PATH_CHARACTERS || hasControlCharacter(path) || !path.isWellFormed()) {
    throw new JwtctlError(
      'ERR_FILE_NAME_INVALID',
      `The file ${excerpt(path)} cannot be made here: its path is noted in the audit log.`,
      { hint: `Expected are at most ${MAX_PATH_CHARACTERS} characters on one line.` },
    );
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
    // What went wrong before is what has to be said.
    discard: async () => {
      await close().catch(() => {});
      await unlink(path).catch(() => {});
    },
  };
}

/** The name of a new file is on the disk once its folder is. Where that cannot be had, the file is made all the same. */
async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, 'r').catch(() => null);
  await handle?.sync().catch(() => {});
  await handle?.close();
}

function unwritable(path: string, error: NodeJS.ErrnoException): JwtctlError {
  if (error.code === 'EEXIST') return taken(path);
  return new JwtctlError('ERR_FILE_UNWRITABLE', `The file ${path} cannot be written (${error.code}).`, {
    hint: 'Name another one, in a folder that may be written.',
    cause: error,
  });
}

function taken(path: string): JwtctlError {
  return new JwtctlError('ERR_FILE_EXISTS', `There is a file ${path} already.`, {
    hint: 'Name another one: nothing is written over, for it may be the only copy of what it holds.',
  });
}
