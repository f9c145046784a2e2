/** Asks the user at a terminal. Ctrl-C, Ctrl-D, and an aborted `signal` end a question without an answer. */
export interface Prompt {
  /** Returns false for a no, or if the question was ended. */
  confirm(message: string, signal: AbortSignal): Promise<boolean>;
  /** Returns the typed text; null if the question was ended. */
  typeBack(message: string, signal: AbortSignal): Promise<string | null>;
  /**
   * Returns the typed text; null if the question was ended.
   */
  text(message: string, options: TextOptions, signal: AbortSignal): Promise<string | null>;
  /** Returns the value of the chosen line; null if the question was ended. */
  choose<Value extends string>(
    message: string,
    choices: ReadonlyArray<Choice<Value>>,
    initial: Value,
    signal: AbortSignal,
  ): Promise<Value | null>;
  /** Returns the typed text, at least one character, without showing it; null if the question was ended. */
  password(message: string, signal: AbortSignal): Promise<string | null>;
}

export interface TextOptions {
  /** What Enter alone answers. */
  initial: string | null;
  /** Whether the user can edit the initial text. */
  isEditable?: boolean;
  /** Returns what is wrong with a text, which is then asked again. */
  check(text: string): string | null;
  /** Returns the answer as it stays on the screen, without a secret. Default: as typed */
  shown?(text: string): string;
}

export interface Choice<Value extends string> {
  value: Value;
  name: string;
}
