export interface Clock {
  now(): number;
  /** Resolves once {@link now} has reached `time`; rejects with an AbortError once `signal` is aborted. */
  until(time: number, signal?: AbortSignal): Promise<void>;
  pause(milliseconds: number, signal?: AbortSignal): Promise<void>;
}
