import type { SigningKey } from '../model/signing-key.js';
import type { PrivateFile, RegistryEntry, RegistryScanner } from './index.js';

/** So many entries go into one chunk: what is encrypted, written to the disk and removed in one go. */
export const MAX_CHUNK_ENTRIES = 4_096;

/** A registry entry as a backup keeps it: with all that brings it back wherever its key is known. */
export interface BackupEntry {
  sub: string;
  /** Null where the key's row was gone already. */
  kid: string | null;
  jti: string;
  iat: number;
  exp: number;
  label: string | null;
}

/** Which registry a backup is of, and since when. */
export interface BackupFacts {
  createdAt: number;
  backend: RegistryScanner['backend'];
  prefix: string;
}

/** Makes and reads backups: files of registry entries, sealed under the master key. */
export interface BackupFiles {
  /**
   * Makes the file, without entries yet.
   *
   * @throws JwtctlError what the keyring and the file throw; there is no file then
   */
  create(file: PrivateFile, facts: BackupFacts): Promise<BackupWriter>;
  /**
   * @param name how messages name it
   * @throws AbortError once `signal` is aborted
   * @throws JwtctlError `ERR_BACKUP_INVALID`, `ERR_BACKUP_VERSION_UNSUPPORTED` (usage) for what is none that can be read here,
   * `ERR_MASTER_KEY_UNKNOWN`, `ERR_DECRYPTION_FAILED` (state) for one that does not open
   */
  open(bytes: AsyncIterable<Uint8Array>, name: string, signal?: AbortSignal): Promise<BackupReader>;
}

export interface BackupWriter {
  /** Absolute. */
  readonly path: string;
  /**
   * Adds {@link MAX_CHUNK_ENTRIES} at most. They are on the disk when this resolves.
   *
   * @throws JwtctlError `ERR_FILE_UNWRITABLE` (usage)
   */
  append(entries: readonly BackupEntry[]): Promise<void>;
  /**
   * Adds the last line and closes the file. After an {@link append} that failed it only closes it: without its last line
   * it is known not to be whole.
   *
   * @param isWhole whether all that was meant has been seen
   * @throws JwtctlError `ERR_FILE_UNWRITABLE` (usage)
   */
  finish(isWhole: boolean): Promise<void>;
  /** Closes the file, and removes it where it holds no entries. */
  abandon(): Promise<void>;
}

export interface BackupReader {
  readonly facts: BackupFacts;
  /** To its end, once. No more than a chunk is held in memory. */
  parts(): AsyncIterable<BackupPart>;
}

export type BackupPart =
  | { kind: 'entries'; entries: BackupEntry[] }
  /** Something that was in the backup, or may have been, and is not any more. `what` is for a person. */
  | { kind: 'lost'; what: string };

export function backupEntry(
  sub: string,
  { jti, iat, exp, label }: RegistryEntry & { label: string | null },
  key: SigningKey | undefined,
): BackupEntry {
  return { sub, kid: key?.kid ?? null, jti, iat, exp, label };
}
