/** Asks the user at a terminal. Ctrl-C, Ctrl-D, and an aborted `signal` end a question without an answer. */
export interface Prompt {
  /** Returns false for a no, or if the question was ended. */
  confirm(message: string, signal: AbortSignal): Promise<boolean>;
  /** Returns the typed text; null if the question was ended. */
  typeBack(message: string, signal: AbortSignal): Promise<string | null>;
  /** Returns the typed text without showing it; null if the question was ended. */
  password(message: string, signal: AbortSignal): Promise<string | null>;
}
