import type { AuditHead } from './audit-log.js';

/**
 * High-water marks: how far the database had come, as recorded in Redis. A database restored from a backup lacks later
 * writes, and only the marks reveal that.
 *
 * Any client that can write to Redis can write marks. So each has a MAC under a key from the master keyring, and a mark that
 * cannot be verified is only a hint.
 */
export interface MarkStore {
  /** Reads the fields with one command; null for a missing one. @throws JwtctlError kind `unavailable` */
  read(): Promise<StoredMarks>;
  /** Writes these fields if `field` still has the value `expected`; otherwise writes nothing and returns false. */
  replace(
    field: MarkField,
    expected: string | null,
    written: Partial<Record<MarkField, string>>,
  ): Promise<boolean>;
  /** Keeps events until they expire. */
  addEvents(events: ReadonlyArray<{ id: number; expiresAt: number; text: string }>): Promise<void>;
  /** Reads the kept events, in any order, possibly some of them twice. */
  events(): AsyncIterable<StoredEvent[]>;
  removeEvents(events: readonly StoredEvent[]): Promise<void>;
}

export type MarkField =
  /** A {@link HighWaterMark}, authenticated. */
  | 'mark'
  /** The states of the keys when it was written, authenticated. */
  | 'keys'
  /** A {@link HighWaterMark} from a host without a keyring, not authenticated. */
  | 'hint';

export type StoredMarks = Record<MarkField, string | null>;

export interface StoredEvent {
  text: string;
  /** The number of the set that holds it. */
  shard: number;
}

/** How far a database has come. The numbers only grow, unless an older state is restored. */
export interface DatabaseHeads {
  /** When `db recover` last re-applied or accepted changes; 0 if never. */
  recoveredAt: number;
  /** The revision of the key store. */
  revision: number;
  audit: AuditHead;
}
