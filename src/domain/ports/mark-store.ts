import type { AuditHead } from './audit-log.js';

/**
 * High-water marks in Redis. Only they reveal a database restored from a backup. Any client of Redis can
 * write marks, so each has a MAC under a key from the master keyring.
 */
export interface MarkStore {
  /** Reads the fields with one command; null for a missing one. @throws JwtctlError kind `unavailable` */
  read(): Promise<StoredMarks>;
  /** Writes these fields if `field` has the value `expected`; otherwise returns false. */
  replace(
    field: MarkField,
    expected: string | null,
    written: Partial<Record<MarkField, string>>,
  ): Promise<boolean>;
  /** Returns the keys that hold a foreign value. Their events are not kept. */
  addEvents(events: ReadonlyArray<{ id: number; expiresAt: number; text: string }>): Promise<string[]>;
  /** Reads the kept events, in any order. An event may come twice. */
  events(): AsyncIterable<EventPage>;
  /** Leaves keys that hold a foreign value. */
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

export interface EventPage {
  key: string;
  /** Null if the key holds a foreign value: any client can replace it. */
  events: StoredEvent[] | null;
}

export interface StoredEvent {
  text: string;
  shard: number;
}

/** How far a database has come. The numbers only grow, unless an older state is restored. */
export interface DatabaseHeads {
  /** When `db recover` last re-applied or accepted changes; 0 if never. */
  recoveredAt: number;
  revision: number;
  audit: AuditHead;
}
