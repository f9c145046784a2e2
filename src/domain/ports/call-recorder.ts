/** A call to a store that has ended. */
export interface StoreCall {
  system: 'mysql' | 'sqlite' | 'redis';
  /** The first word of the SQL statement, or the name of the Redis command. */
  operation: string;
  /** The table. */
  collection?: string | undefined;
  durationMs: number;
  /** Undefined if the call succeeded. */
  error?: unknown;
}

/** Records a call for traces. Called in the asynchronous context of the caller. */
export type RecordCall = (call: StoreCall) => void;
