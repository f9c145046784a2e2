import type { Command } from 'commander';
import type { Context } from '../app/context.js';
import type { Config, ConfigSources } from '../config/load.js';
import type { LineSource } from '../domain/batch/line-batches.js';
import type { PrivateFile, WalkProgress } from '../domain/ports/index.js';
import type { JwtctlError } from '../domain/shared/errors.js';
import type { Progress } from './output/progress.js';
import type { OutputFormat } from './output/render.js';
import type { Outcome, View } from './output/view.js';

/** The global flags, read. */
export interface Globals {
  format: OutputFormat;
  isQuiet: boolean;
  /** Confirmations are taken as given. */
  yes: boolean;
  /** Show what would happen, change nothing. */
  dryRun: boolean;
  /** Whether a person can be asked: both ends are terminals and `--no-input` is absent. */
  canAsk: boolean;
  /** Whether what is on standard output can be drawn over. */
  canRedraw: boolean;
}

/** One run of a command, as its action sees it. Nothing is loaded or opened before it is asked for. */
export interface Invocation {
  readonly globals: Globals;
  readonly configSources: ConfigSources;
  /** Warns the user on stderr about something to fix; not with `--json` or `-q`. */
  caution(text: string): void;
  config(): Promise<Config>;
  context(): Promise<Context>;
  /** Aborted by the first SIGINT. */
  readonly signal: AbortSignal;
  /** `-` reads standard input, `@file` a file, anything else is the text itself. One trailing newline is dropped. */
  readText(value: string): Promise<string>;
  /**
   * `-` reads standard input, anything else (with or without `@`) is a file's name.
   *
   * @throws JwtctlError (usage) `ERR_FILE_UNREADABLE`; `ERR_FILE_TOO_LARGE` where there are more than `maxBytes`
   */
  readFile(name: string, maxBytes?: number): Promise<string>;
  /**
   * Reads a private key: from standard input if `name` is `-`, otherwise from a file, which is checked like every secret file.
   *
   * @param flag the flag that named the file, for messages
   * @throws JwtctlError (usage) as `readKeyFile` in `config/named-files.ts`; `ERR_FILE_TOO_LARGE` for standard input
   */
  readKey(name: string, flag: string, maxBytes: number): Promise<string>;
  /**
   * Reads a one-line secret: from standard input if `name` is `-`, otherwise from a file, which is checked like every
   * secret file.
   *
   * @param flag the flag that named the file, for messages
   * @throws JwtctlError (usage) as `readSecretFile` in `config/named-files.ts`
   */
  readSecret(name: string, flag: string): Promise<string>;
  /**
   * A file that is read piece by piece, however long it is; names as with {@link readFile}.
   *
   * @throws JwtctlError `ERR_FILE_UNREADABLE` (usage)
   */
  openInput(name: string): Promise<Input>;
  /** Says on stderr why a line of an input, or several, failed: in a line, or a JSON object where the output is JSON. */
  reportLines(first: number, last: number, error: JwtctlError): void;
  /**
   * Shows on stderr how far something is, where that is a terminal. Whoever opens it stops it.
   *
   * @param label what is under way: `issuing`
   * @param whilePrinting whether the result is printed meanwhile: on the same terminal the two would not mix
   */
  progress(label: string, options?: { whilePrinting?: boolean }): Promise<Progress>;
  /** @throws JwtctlError `ERR_FILE_NAME_INVALID` (usage) for a name that the audit log cannot hold */
  privateFile(name: string): PrivateFile;
  /** Shows a person what they are about to be asked about: on stderr, for standard output is for the result. */
  present(view: View): Promise<void>;
  /**
   * Returns once a person agreed, or `--yes` did.
   *
   * @param typeBack what has to be typed, where a plain yes is too quick
   * @throws JwtctlError `ERR_CONFIRMATION_NEEDED` (usage) if there is no terminal to ask on, `ERR_NOT_CONFIRMED` (interrupted)
   *   for a no, Ctrl-C, or Ctrl-D
   */
  confirm(question: string, typeBack?: string): Promise<void>;
  /**
   * Returns at `time`, and shows on stderr how long it still takes, unless the output is for programs.
   *
   * @param what is waited for, to follow `until`
   * @throws AbortError once {@link signal} is aborted
   */
  waitUntil(time: number, what: string): Promise<void>;
  /**
   * Runs a walk and tells on stderr how far it is, where a person sits there.
   *
   * @param label what is done: `Reading`
   */
  withProgress<T>(label: string, walk: (onProgress: ReportProgress) => Promise<T>): Promise<T>;
  /**
   * @param what is asked for: `The passphrase of the key in key.pem`
   * @returns what a person typed unseen
   * @throws JwtctlError `ERR_PASSPHRASE_NEEDED` (usage) if there is no terminal to ask on, `ERR_NOT_CONFIRMED` (interrupted)
   *   after Ctrl-C or Ctrl-D
   */
  askSecret(what: string): Promise<string>;
}

export type ReportProgress = (
  progress: Omit<WalkProgress, 'unit'> & { unit: string; entries?: number },
) => void;

/** An input that is open. Of the ways to read it one can be taken, once. */
export interface Input {
  /** As it is shown, `standard input` for one. */
  readonly name: string;
  /** Its bytes; they end where it does, and early once the run is interrupted. */
  chunks(): AsyncIterable<Uint8Array>;
  /** The lines of a text, without the empty ones. */
  lines(): LineSource<string>;
  /** The objects of NDJSON. */
  objects(): LineSource<Record<string, unknown>>;
  /**
   * The rows of a CSV with a header, or the objects of NDJSON.
   *
   * @param columns of the CSV; one with others, or without one that is required, is a JwtctlError `ERR_CSV_HEADER_INVALID` (usage)
   * @param format default: by the file's name, else by the first character
   */
  rows(
    columns: { required: readonly string[]; optional: readonly string[] },
    format?: 'csv' | 'ndjson',
  ): LineSource<Record<string, unknown>>;
  /** How much of it has been read, from 0 to 1; null where nobody knows how long it is. */
  fractionRead(): number | null;
}

/** What a verb does: flags and arguments in, one outcome out. No printing, no exit, no try. */
export type Action<Flags, Args extends unknown[]> = (
  invocation: Invocation,
  flags: Flags,
  ...args: Args
) => Promise<Outcome>;

/** Makes an action into what commander calls. */
export type Run = <Flags, Args extends unknown[] = []>(
  action: Action<Flags, Args>,
) => (...args: unknown[]) => Promise<void>;

/** Adds a verb to the command of its group. */
export type DefineCommand = (group: Command, run: Run) => void;
