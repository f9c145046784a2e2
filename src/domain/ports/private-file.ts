/** Creates a file that only its owner may read. */
export interface PrivateFile {
  /** Absolute. */
  readonly path: string;
  /** @throws JwtctlError `ERR_FILE_EXISTS` (usage) if the path exists */
  assertFree(): Promise<void>;
  /** Creates an empty file. @throws JwtctlError (usage) `ERR_FILE_EXISTS`, `ERR_FILE_UNWRITABLE` */
  create(): Promise<void>;
  /** Appends text and flushes it to disk. @throws JwtctlError `ERR_FILE_UNWRITABLE` (usage) */
  append(text: string): Promise<void>;
  close(): Promise<void>;
  discard(): Promise<void>;
}
