import { readTrusted, type TrustedFile } from '../../app/trusted-file.js';
import { type DecodedText, decodeAnyText, decodeText } from '../../domain/shared/decode-text.js';
import { JwtctlError } from '../../domain/shared/errors.js';
import { openFault } from '../../domain/shared/open-fault.js';
import { fileNameShown } from '../../domain/shared/text.js';

export interface NamedBy {
  /** For messages. */
  readonly setting: string;
  /** Called if other users can read the file. */
  readonly warn?: ((text: string) => void) | undefined;
}

export const MAX_SECRET_BYTES = 4096;
const MAX_TEXT_BYTES = 65_536;
const MAX_CERTIFICATE_BYTES = 1_048_576;

/** Reads a one-line secret of 1 to 4096 bytes, without its final newline. */
export async function readSecretFile(file: string, by: NamedBy): Promise<string> {
  const read = readSafe(file, by, MAX_SECRET_BYTES);
  const { text, fault } = textOf(read, MAX_SECRET_BYTES);
  const secret = text === null ? null : secretIn(text);
  if (secret !== null) return secret;
  const found = fault ?? (text?.trim() === '' ? 'is empty' : 'has more than one line');
  throw invalid(file, by, `one line of text, 1 to ${MAX_SECRET_BYTES} bytes`, found);
}

/** The one line of a text, without its newline; null for another text. */
export function secretIn(text: string): string | null {
  const secret = text.replace(/\r?\n$/, '');
  return /^[^\0\r\n]+$/.test(secret) && Buffer.byteLength(secret) <= MAX_SECRET_BYTES ? secret : null;
}

/** A shorter secret could be guessed over the network (RFC 6749 §10.10 requires at least 128 bits). */
export const MIN_CLIENT_SECRET_CHARACTERS = 32;

export function clientSecretSetting(index: number): string {
  return `serve.clients[${index}].secretFile`;
}

export async function readClientSecret(file: string, by: NamedBy): Promise<string> {
  const secret = await readSecretFile(file, by);
  if (secret.length >= MIN_CLIENT_SECRET_CHARACTERS) return secret;
  throw invalid(
    ...([
      file,
      by,
      `a secret of at least ${MIN_CLIENT_SECRET_CHARACTERS} characters`,
      'is too short',
    ] as const),
  );
}

export async function readSecretText(file: string, by: NamedBy): Promise<string> {
  const read = readSafe(file, by, MAX_TEXT_BYTES);
  const { text, fault } = textOf(read, MAX_TEXT_BYTES);
  if (text === null) throw invalid(file, by, `text of at most ${MAX_TEXT_BYTES} bytes`, fault);
  return text;
}

/** Returns the bytes, because they tell what kind of key file it is. */
export async function readKeyFile(file: string, by: NamedBy, maxBytes: number): Promise<Uint8Array> {
  const { bytes, isTooLarge } = readSafe(file, by, maxBytes);
  if (isTooLarge) throw invalid(file, by, `at most ${maxBytes} bytes`, 'is longer');
  return bytes;
}

/** Replaces bytes that are not UTF-8, because the text around a PEM block may have any encoding. */
async function readAnyText(file: string, by: NamedBy, maxBytes: number): Promise<string> {
  const read = readSafe(file, by, maxBytes);
  if (read.isTooLarge) throw invalid(file, by, `at most ${maxBytes} bytes`, 'is longer');
  return decodeAnyText(read.bytes);
}

/** Returns the keyring file of an embedded store, used if no other keyring is set. */
export function embeddedKeyringFile({ data }: { data: string }): string {
  return `${data}.master-key`;
}

/** @throws JwtctlError `ERR_MASTER_KEY_MISSING` (state) if the keyring cannot be read */
export async function readKeyringFile(file: string, by: NamedBy): Promise<string> {
  try {
    return await readSecretText(file, by);
  } catch (error) {
    if (!(error instanceof JwtctlError) || !CANNOT_BE_READ.has(error.code)) throw error;
    const message = `The master key file ${fileNameShown(file)} cannot be read (${codeOf(error.cause)}).`;
    const isForbidden = FORBIDDEN.has(codeOf(error.cause));
    throw new JwtctlError('ERR_MASTER_KEY_MISSING', message, {
      hint: isForbidden
        ? 'Give the account that runs jwtctl read access to the file.'
        : 'Restore the file from your copy. Without it, jwtctl cannot open any private key in the store.',
      cause: error.cause,
    });
  }
}

/** A user who can change a CA file chooses which servers get the password, so the same checks apply. */
export async function readConfigured(file: string, { setting }: NamedBy): Promise<string> {
  return readAnyText(file, { setting }, MAX_CERTIFICATE_BYTES);
}

const FORBIDDEN = new Set(['EACCES', 'EPERM']);
const CANNOT_BE_READ = new Set(['ERR_CONFIG_FILE_MISSING', 'ERR_CONFIG_FILE_UNREADABLE']);

function readSafe(file: string, { setting, warn }: NamedBy, maxBytes: number): TrustedFile {
  let read: TrustedFile;
  try {
    read = readTrusted(file, maxBytes);
  } catch (error) {
    throw unreadable(file, setting, error as NodeJS.ErrnoException);
  }
  const name = fileNameShown(file);
  if (read.fault !== null) {
    throw new JwtctlError(
      'ERR_CONFIG_FILE_UNSAFE',
      `The file ${name} (${setting}) cannot be trusted: ${read.fault.reason}.`,
      { hint: read.fault.remedy, details: { file: name, setting } },
    );
  }
  if (read.readableByOthers !== null) {
    warn?.(`Other users can read the secret in ${name} (${setting}). Run \`${read.readableByOthers}\`.`);
  }
  return read;
}

function textOf({ bytes, isTooLarge }: TrustedFile, maxBytes: number): DecodedText {
  return isTooLarge ? { text: null, fault: `is longer than ${maxBytes} bytes` } : decodeText(bytes);
}

/** The message never includes the contents, which may be secret. */
function invalid(file: string, { setting }: NamedBy, expected: string, found: string): JwtctlError {
  const message = `The file ${fileNameShown(file)} (${setting}) ${found}. It must contain ${expected}.`;
  return new JwtctlError('ERR_CONFIG_FILE_INVALID', message, {
    hint: 'Check that the setting names the right file, then check its contents.',
    details: { file: fileNameShown(file), setting },
  });
}

function unreadable(file: string, setting: string, error: unknown): JwtctlError {
  const code = codeOf(error);
  const isMissing = code === 'ENOENT' || code === 'ENOTDIR';
  const problem = isMissing ? 'does not exist' : openFault(code);
  const message = `The file ${fileNameShown(file)} (${setting}) ${problem}.`;
  return new JwtctlError(isMissing ? 'ERR_CONFIG_FILE_MISSING' : 'ERR_CONFIG_FILE_UNREADABLE', message, {
    hint: isMissing
      ? 'Correct the path, or create the file.'
      : 'Give the account that runs jwtctl access to the file.',
    details: { file: fileNameShown(file), setting },
    cause: error,
  });
}

function codeOf(error: unknown): string {
  return (error as NodeJS.ErrnoException | undefined)?.code ?? 'unknown error';
}
