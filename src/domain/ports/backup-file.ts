import type { RegistryEntry } from '../model/registry-entry.js';
import type { SigningKey } from '../model/signing-key.js';
import type { TokenMeta } from '../model/token-meta.js';
import type { PrivateFile } from './private-file.js';
import type { RegistryScanner } from './registry-scanner.js';

/** The entries of one chunk, which is encrypted and flushed to disk as a unit. */
export const MAX_CHUNK_ENTRIES = 4_096;

/** A registry entry with its `kid`, so that another installation can restore it. */
export interface BackupEntry {
  sub: string;
  /** Null if the key had no row any more. */
  kid: string | null;
  jti: string;
  iat: number;
  exp: number;
  meta: TokenMeta | null;
}

export interface BackupFacts {
  createdAt: number;
  backend: RegistryScanner['backend'];
  prefix: string;
}

/** Makes and reads backups: files of registry entries, sealed under the master key. */
export interface BackupFiles {
  /** Creates a backup without entries. On an error of the keyring or the file, leaves no file. */
  create(file: PrivateFile, facts: BackupFacts): Promise<BackupWriter>;
  /**
   * Opens a backup, called `name` in messages.
   * @throws AbortError once `signal` is aborted
   * @throws JwtctlError `ERR_BACKUP_INVALID`, `ERR_BACKUP_VERSION_UNSUPPORTED` (usage) if the file cannot be
   * read, `ERR_MASTER_KEY_UNKNOWN`, `ERR_DECRYPTION_FAILED` (state) if it cannot be decrypted
   */
  open(bytes: AsyncIterable<Uint8Array>, name: string, signal?: AbortSignal): Promise<BackupReader>;
}

export interface BackupWriter {
  readonly path: string;
  /** Adds up to {@link MAX_CHUNK_ENTRIES} and flushes them. @throws JwtctlError `ERR_FILE_UNWRITABLE` */
  append(entries: readonly BackupEntry[]): Promise<void>;
  /**
   * Adds the last line, except after a failed {@link append}, and closes the file. Without that line, the
   * backup is incomplete. @throws JwtctlError `ERR_FILE_UNWRITABLE` (usage)
   */
  finish(isWhole: boolean): Promise<void>;
  /** Closes the file, and removes it if it has no entries. */
  abandon(): Promise<void>;
}

export interface BackupReader {
  readonly facts: BackupFacts;
  /** Reads to the end, once. Holds at most one chunk in memory. */
  parts(): AsyncIterable<BackupPart>;
}

export type BackupPart =
  | { kind: 'entries'; entries: BackupEntry[] }
  /** A part of the backup that is missing or damaged; `what` describes it for people. */
  | { kind: 'lost'; what: string };

export function backupEntry(
  sub: string,
  { jti, iat, exp, meta }: RegistryEntry & { meta: TokenMeta | null },
  key: SigningKey | undefined,
): BackupEntry {
  return { sub, kid: key?.kid ?? null, jti, iat, exp, meta };
}
