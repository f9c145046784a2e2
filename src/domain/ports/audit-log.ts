/** Keeps one row per command that changed something. Each row has the hash of the previous one. */
export interface AuditLog {
  /** Appends these rows in order. */
  append(...entries: readonly AuditEntry[]): Promise<void>;
  /** Returns the last row up to this one; null if there is none. */
  lastUpTo(seq: number): Promise<AuditHead | null>;
  head(): Promise<AuditChainHead>;
  /** Returns the rows in order, in bounded memory. Default: all rows, those outside the chain included */
  rows(range?: AuditRange): AsyncIterable<AuditRow>;
  /** Returns matching rows, the newest first, in bounded memory. */
  list(filter: AuditFilter): AsyncIterable<AuditRow>;
  /** Returns the ranges of rows that lie before 1 or after the head, as of one moment. */
  outliers(): Promise<AuditRange[]>;
  /**
   * Removes the oldest rows up to this one, `most` of those that exist.
   * @returns how many were removed, and the number up to which there are no rows now. The account needs the DELETE
   *   privilege.
   */
  removeUpTo(seq: number, most: number): Promise<{ removed: number; prunedUpTo: number }>;
}

/** Both inclusive. */
export interface AuditRange {
  firstSeq: number;
  lastSeq: number;
}

/** An absent member does not restrict. Texts are compared byte for byte. */
export interface AuditFilter {
  /** One of these times; at most a few. */
  at?: readonly number[] | undefined;
  /** Inclusive. */
  since?: number | undefined;
  /** Inclusive. */
  until?: number | undefined;
  actor?: string | undefined;
  action?: string | undefined;
  target?: string | undefined;
}

export interface AuditHead {
  seq: number;
  hash: string;
}

export interface AuditChainHead extends AuditHead {
  /** Random, made by the migration. Each hash covers it, so rows of another installation do not verify. */
  chainId: string;
}

export interface AuditEntry {
  at: number;
  /** The name given with `--actor`. Not verified. */
  actor: string;
  /** The command: `keys.generate`, `users.disable` … */
  action: string;
  target: string;
  /** `done`, or another word for the outcome. */
  outcome: string;
  reason: string | null;
  /** Set if a program could not tell from `target` what the row covers: a subject may look like a `kid`. */
  details?: AuditDetails | undefined;
}

/** What a row covers. */
export interface AuditDetails {
  sub?: string | undefined;
  jti?: string | undefined;
  /** The family of the session. */
  session?: string | undefined;
  kid?: string | undefined;
  /** Inclusive. */
  issuedBefore?: number | undefined;
  /** The `jti` or the session that stays. */
  except?: string | undefined;
  /** When the user is enabled again. */
  disabledUntil?: number | undefined;
}

export interface AuditRow extends Omit<AuditEntry, 'details'> {
  seq: number;
  /** The account and host that ran the command, according to the operating system. */
  login: string;
  /** {@link AuditDetails} as JSON. Default: null */
  details?: string | null;
  /** The id of the master key whose {@link MacKey} made `hash`; null if `hash` is a plain SHA-256. */
  macKeyId: string | null;
  previousHash: string;
  hash: string;
}

/** A key that authenticates stored data, derived from a master key. */
export interface MacKey {
  id: string;
  secret: Uint8Array;
}
