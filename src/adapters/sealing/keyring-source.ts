import { randomBytes } from 'node:crypto';
import { link, mkdir, stat, unlink, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { JwtctlError } from '../../domain/shared/errors.js';
import { fileNameShown } from '../../domain/shared/text.js';
import { type Keyring, parseKeyring } from './keyring.js';

export type KeyringSource =
  | { kind: 'value'; text: string }
  | { kind: 'file'; file: string; read: ReadKeyringFile }
  | { kind: 'command'; run(): Promise<string> }
  /** Used if no keyring is configured. Created with one new master key if missing and allowed. */
  | {
      kind: 'embedded';
      file: string;
      read: ReadKeyringFile;
      mayCreate(): Promise<boolean>;
      onCreated(file: string): void;
    };

export type ReadKeyringFile = (file: string) => Promise<string>;

export async function loadKeyring(source: KeyringSource): Promise<Keyring> {
  switch (source.kind) {
    case 'value':
      return parseKeyring(source.text, 'JWTCTL_MASTER_KEY');
    case 'file':
      return parseKeyring(await source.read(source.file), source.file);
    case 'command':
      return parseKeyring(await source.run(), 'the output of `masterKey.command`');
    case 'embedded':
      return parseKeyring(await readOrCreateFile(source), source.file);
  }
}

/** Returns whether a keyring exists. For the embedded store, the first use creates it. */
export async function isConfigured(source: KeyringSource): Promise<boolean> {
  return source.kind !== 'embedded' || (await exists(source.file));
}

async function readOrCreateFile(source: Extract<KeyringSource, { kind: 'embedded' }>): Promise<string> {
  const { file } = source;
  if (!(await exists(file))) {
    await assertMayCreate(source);
    if (await makeKeyringFile(file)) source.onCreated(file);
  }
  return source.read(file);
}

/** @throws JwtctlError `ERR_MASTER_KEY_MISSING` if the keyring is missing and may not be created */
export async function assertMayCreate(source: KeyringSource): Promise<void> {
  if (source.kind === 'embedded' && !(await source.mayCreate())) throw notConfigured(source.file);
}

/** No setting names this file. On a new host or under another account, a setting is probably missing. */
function notConfigured(file: string): JwtctlError {
  const message = `No master key is configured, and the default file ${fileNameShown(file)} does not exist.`;
  return new JwtctlError('ERR_MASTER_KEY_MISSING', message, {
    hint: 'Set masterKey.file (JWTCTL_MASTER_KEY_FILE) to a copy of the keyring that the other hosts use, or masterKey.command to a command that prints it. If the file was lost, restore it from your copy.',
  });
}

/**
 * Writes a temporary file and links it to the final name, so the file never exists without its content.
 * Returns false if another process created the file first, so concurrent first uses share one master key.
 */
async function makeKeyringFile(file: string): Promise<boolean> {
  const draft = `${file}.${randomBytes(6).toString('hex')}`;
  try {
    await mkdir(dirname(file), { recursive: true, mode: 0o700 });
    await writeFile(draft, `${randomBytes(32).toString('base64')}\n`, {
      mode: 0o600,
      flag: 'wx',
      flush: true,
    });
    await link(draft, file);
    return true;
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    if (code === 'EEXIST' && (await exists(file))) return false;
    const message = `The master key file ${file} cannot be created (${code}).`;
    throw new JwtctlError('ERR_MASTER_KEY_UNWRITABLE', message, {
      hint: 'Create a file with `openssl rand -base64 32`, and set `masterKey.file` (JWTCTL_MASTER_KEY_FILE) to it.',
      cause: error,
    });
  } finally {
    await unlink(draft).catch(() => {});
  }
}

async function exists(file: string): Promise<boolean> {
  return stat(file).then(
    () => true,
    () => false,
  );
}
