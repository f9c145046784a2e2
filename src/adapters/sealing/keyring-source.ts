import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { link, mkdir, stat, unlink, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { JwtctlError } from '../../domain/shared/errors.js';
import { fileNameShown } from '../../domain/shared/text.js';
import { type Keyring, parseKeyring } from './keyring.js';

export type KeyringSource =
  | { kind: 'value'; text: string }
  | { kind: 'file'; file: string; read: ReadKeyringFile }
  | { kind: 'command'; command: string; timeoutMs: number }
  /** Used if no keyring is configured. Created with one new master key if missing and allowed. */
  | {
      kind: 'embedded';
      file: string;
      read: ReadKeyringFile;
      mayCreate(): Promise<boolean>;
      onCreated(file: string): void;
    };

export type ReadKeyringFile = (file: string) => Promise<string>;

const MAX_OUTPUT_BYTES = 65_536;

export async function loadKeyring(source: KeyringSource): Promise<Keyring> {
  switch (source.kind) {
    case 'value':
      return parseKeyring(source.text, 'JWTCTL_MASTER_KEY');
    case 'file':
      return parseKeyring(await source.read(source.file), source.file);
    case 'command':
      return parseKeyring(
        await outputOf(source.command, source.timeoutMs),
        'the output of `masterKey.command`',
      );
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
    if (!(await source.mayCreate())) throw notConfigured(file);
    if (await makeKeyringFile(file)) source.onCreated(file);
  }
  return source.read(file);
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

/** Never shows the command line or its output, because both may contain secrets. */
function outputOf(command: string, timeoutMs: number): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = spawn('/bin/sh', ['-c', command], { detached: true, stdio: ['ignore', 'pipe', 'ignore'] });
    const killGroup = () => {
      try {
        if (child.pid !== undefined) process.kill(-child.pid, 'SIGKILL');
      } catch {}
    };
    const settle = (end: () => void) => {
      clearTimeout(timer);
      process.off('exit', killGroup);
      end();
    };
    const fail = (how: string) => settle(() => reject(commandFailed(how)));
    const stop = (how: string) => {
      killGroup();
      child.stdout.destroy();
      fail(how);
    };
    const timer = setTimeout(() => stop(`did not finish within ${timeoutMs} ms`), timeoutMs);
    // A second Ctrl-C ends this process at once, but the terminal does not signal the command's group.
    process.once('exit', killGroup);

    const chunks: Buffer[] = [];
    let size = 0;
    child.stdout.on('data', (chunk: Buffer) => {
      chunks.push(chunk);
      size += chunk.length;
      if (size > MAX_OUTPUT_BYTES) stop(`printed more than ${MAX_OUTPUT_BYTES} bytes`);
    });
    child.once('error', () => fail('could not be run'));
    child.once('close', (status) => {
      if (status === 0) settle(() => resolve(Buffer.concat(chunks).toString('utf8')));
      else fail(status === null ? 'could not be run' : `exited with status ${status}`);
    });
  });
}

function commandFailed(how: string): JwtctlError {
  return new JwtctlError('ERR_MASTER_KEY_COMMAND_FAILED', `The \`masterKey.command\` command ${how}.`, {
    hint: 'Run it by hand to see why. jwtctl never shows its output.',
  });
}
