import { readFile } from 'node:fs/promises';
import { JwtctlError } from '../domain/errors.js';
import { fileNameShown } from '../domain/prose.js';
import { unsafeSecretFile } from './checks.js';

/**
 * A file with a password: one trailing newline is dropped.
 *
 * @throws JwtctlError (usage) where it cannot be read, or others may write it
 */
export async function readSecretFile(file: string | null): Promise<string | undefined> {
  if (file === null) return undefined;
  const unsafe = unsafeSecretFile(file);
  if (unsafe !== null) throw unsafe;
  return (await readConfigured(file)).replace(/\r?\n$/, '');
}

/** A file that a setting names. @throws JwtctlError (usage) where it cannot be read */
export async function readConfigured(file: string): Promise<string> {
  try {
    return await readFile(file, 'utf8');
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    throw new JwtctlError(
      'usage',
      code === 'ENOENT' ? 'ERR_CONFIG_FILE_MISSING' : 'ERR_CONFIG_FILE_UNREADABLE',
      `The file ${fileNameShown(file)} cannot be read (${code}).`,
      {
        hint: 'Run `jwtctl config validate` to see which setting names it.',
        cause: error,
      },
    );
  }
}
