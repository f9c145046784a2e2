import { existsSync, mkdirSync, realpathSync } from 'node:fs';
import { dirname } from 'node:path';
import { JwtctlError } from '../domain/shared/errors.js';
import { fileNameShown } from '../domain/shared/text.js';
import { type FileFault, judge } from './trusted-file.js';

/** If no embedded store exists, `create` creates one, and `pretend` uses an empty one in memory. */
export type IfMissing = 'create' | 'pretend';

/** @returns false if the caller must use a store in memory */
export function prepareStoreFile(data: string, ifMissing?: IfMissing): boolean {
  if (!existsSync(data)) {
    if (ifMissing === undefined) throw noStore(data);
    if (ifMissing === 'pretend') return false;
    createFolder(dirname(data));
  }
  assertSafeStore(data);
  return true;
}

function createFolder(folder: string): void {
  try {
    mkdirSync(folder, { recursive: true, mode: 0o700 });
  } catch (error) {
    throw unusableFolder(folder, error as NodeJS.ErrnoException);
  }
}

function noStore(file: string): JwtctlError {
  return new JwtctlError(
    'ERR_NO_STORE',
    `There is no store: JWTCTL_MYSQL_URL and JWTCTL_REDIS_NODES are not set, and there is no embedded store ${file}.`,
    {
      hint:
        'Set both, or set `mysql.url` and `redis.nodes` in a configuration file (`jwtctl config path` lists the files). ' +
        'To start with an embedded store, run `jwtctl keys generate`.',
    },
  );
}

/** The store controls who may sign in. SQLite also trusts its other files, next to the target of a link. */
function assertSafeStore(data: string): void {
  const target = existsSync(data) ? realpathSync.native(data) : data;
  for (const file of [data, ...['-wal', '-shm', '-journal'].map((suffix) => `${target}${suffix}`)]) {
    const fault = judged(file);
    if (fault === null) continue;
    throw new JwtctlError(
      'ERR_CONFIG_FILE_UNSAFE',
      `The file ${fileNameShown(file)} (data) cannot be trusted: ${fault.reason}.`,
      { hint: fault.remedy, details: { file: fileNameShown(file), setting: 'data' } },
    );
  }
}

function judged(file: string): FileFault | null {
  try {
    return judge(file);
  } catch (error) {
    throw unusableFile(file, error as NodeJS.ErrnoException);
  }
}

function unusableFile(file: string, error: NodeJS.ErrnoException): JwtctlError {
  return new JwtctlError(
    'ERR_DATA_FILE_UNAVAILABLE',
    `The file ${fileNameShown(file)} cannot be used (${error.code}).`,
    { hint: 'Point `data` (JWTCTL_DATA) to a file that this account can read and write.', cause: error },
  );
}

function unusableFolder(folder: string, error: NodeJS.ErrnoException): JwtctlError {
  return new JwtctlError(
    'ERR_DATA_FILE_UNAVAILABLE',
    `The folder ${folder} cannot be created (${error.code}).`,
    { hint: 'Point `data` (JWTCTL_DATA) to a folder that this account can write to.', cause: error },
  );
}
