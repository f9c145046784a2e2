/** A file that other programs read while it is replaced. */
export interface PublicFile {
  /** Absolute. */
  readonly path: string;
  /** Returns the content; null if there is no file. @throws JwtctlError `ERR_FILE_UNWRITABLE` (usage) */
  read(): Promise<string | null>;
  /** Replaces the file atomically and durably. @throws JwtctlError `ERR_FILE_UNWRITABLE` (usage; unavailable if the disk is full) */
  replace(text: string): Promise<void>;
}
