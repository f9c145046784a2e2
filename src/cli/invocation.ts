import { systemClock } from '../app/clock.js';
import type { Context } from '../app/context.js';
import { createPrivateFile } from '../app/private-file.js';
import { type OwnFileOptions, openOwnFile, openPublicFile } from '../app/public-file.js';
import type { Config, ConfigSources } from '../config/load-config.js';
import type { Settings } from '../config/settings.js';
import type { Choice, PrivateFile, PublicFile, TextOptions, WalkProgress } from '../domain/ports/index.js';
import type { JwtctlError } from '../domain/shared/errors.js';
import { printable, printableLines } from '../domain/shared/text.js';
import type { CliCommand } from './command.js';
import { ask, notConfirmed, passphraseNeeded } from './confirmation.js';
import { Diagnostics } from './diagnostics.js';
import { completingCommands } from './given-flags.js';
import {
  actorOf,
  type Globals,
  type GlobalValues,
  type LogStyle,
  logStyleOf,
  mayColor,
  mayDrawProgress,
  readGlobals,
  sourcesOf,
} from './globals.js';
import { columnsOf, createReaders, type Input, type Io, openInput, type Readers } from './io.js';
import { describeLines } from './output/describe-error.js';
import type { Progress } from './output/progress.js';
import type { Outcome, View } from './output/view.js';

/** One run of a command. Loads and opens each thing when it is first used. */
export interface Invocation extends Readers {
  readonly globals: Globals;
  readonly configSources: ConfigSources;
  /** The sources of a command line that has these global flags. */
  sourcesOf(values: GlobalValues): ConfigSources;
  readonly logStyle: LogStyle;
  /** Prints a warning on stderr. */
  caution(text: string): void;
  /** Prints a note on stderr, except with `--json` or `-q`. */
  note(text: string): void;
  config(): Promise<Config>;
  /**
   * @param migratesEmbedded whether an outdated embedded store is migrated; otherwise, it is an error. Only for the
   * first call. Default: true, except in a dry run
   */
  context(options?: { migratesEmbedded?: boolean }): Promise<Context>;
  /** Reads from a context that waits this long for a store. Returns null if something fails or takes longer. */
  briefly<T>(settings: Settings, seconds: number, read: (context: Context) => Promise<T>): Promise<T | null>;
  readonly diagnostics: Diagnostics;
  /** Aborted by the first SIGINT. */
  readonly signal: AbortSignal;
  /** @throws JwtctlError `ERR_FILE_UNREADABLE` (usage) */
  openInput(name: string): Promise<Input>;
  reportLines(first: number, last: number, error: JwtctlError): void;
  /** Shows progress on stderr. With `whilePrinting`, only if standard output is not a terminal. */
  progress(label: string, options?: { whilePrinting?: boolean }): Promise<Progress>;
  /** @throws JwtctlError `ERR_FILE_NAME_INVALID` (usage) for a name that the audit log cannot hold */
  privateFile(name: string): PrivateFile;
  publicFile(name: string): PublicFile;
  /** A file that is replaced like a public one, but that only its owner may read. */
  ownFile(name: string, options?: OwnFileOptions): PublicFile;
  /** Prints a view on stderr, before a question or a wait. */
  present(view: View): Promise<void>;
  /**
   * Asks for confirmation, unless `--yes` is given.
   * @param typeBack text that the user has to type instead of `y`
   * @throws JwtctlError `ERR_CONFIRMATION_NEEDED` (usage), `ERR_NOT_CONFIRMED` (interrupted)
   */
  confirm(question: string, typeBack?: string): Promise<void>;
  /** @param what the condition, shown after `until` */
  waitUntil(time: number, what: string): Promise<void>;
  withProgress<T>(label: string, walk: (onProgress: ReportProgress) => Promise<T>): Promise<T>;
  /** Asks whether to go on; Enter alone is a yes. @throws JwtctlError `ERR_NOT_CONFIRMED` (interrupted) */
  proceed(question: string): Promise<void>;
  /** Only if `globals.canAsk`. @throws JwtctlError `ERR_NOT_CONFIRMED` (interrupted) */
  askText(
    question: string,
    options: Omit<TextOptions, 'initial'> & { initial?: string | null },
  ): Promise<string>;
  /** Only if `globals.canAsk`. @throws JwtctlError `ERR_NOT_CONFIRMED` (interrupted) */
  choose<Value extends string>(
    question: string,
    choices: ReadonlyArray<Choice<Value>>,
    initial: Value,
  ): Promise<Value>;
  /** Opens the stores of other settings than those of {@link config}. */
  openWith(config: Config): Promise<Context>;
  /** @throws JwtctlError `ERR_PASSPHRASE_NEEDED` (usage), `ERR_NOT_CONFIRMED` (interrupted) */
  askSecret(what: string): Promise<string>;
}

export type ReportProgress = (
  progress: Omit<WalkProgress, 'unit'> & { unit: string; entries?: number },
) => void;

/** Runs a verb. Returns its outcome, and does not print, exit, or catch errors. */
export type Action<Flags, Args extends unknown[]> = (
  invocation: Invocation,
  flags: Flags,
  ...args: Args
) => Promise<Outcome>;

export type Run = <Flags, Args extends unknown[] = []>(
  action: Action<Flags, Args>,
) => (...args: unknown[]) => Promise<void>;

export type DefineCommand = (group: CliCommand, run: Run) => void;

/** How to load each verb of a group, in the order of the help. */
export type Verbs = Readonly<Record<string, () => Promise<DefineCommand>>>;

export function createInvocation(values: GlobalValues, io: Io, signal: AbortSignal) {
  const globals = readGlobals(values, io);
  const configSources = sourcesOf(values, io);
  const clock = io.clock ?? systemClock;
  const complete = completingCommands(values);
  const diagnostics = new Diagnostics(io, { hold: globals.format === 'json', complete });
  const warn = (text: string) => diagnostics.write(text);
  const notice = (text: string) => {
    if (!globals.isQuiet && globals.format !== 'json') warn(text);
  };
  const caution = (text: string) => warn(`Warning: ${text}`);
  const trace = (text: string) => {
    if (values.verbose === true) warn(text);
  };
  let loaded: Promise<Config> | undefined;
  let opened: Promise<Context> | undefined;
  let shown: Progress | undefined;
  const closers: Array<() => void> = [];
  const others: Context[] = [];

  const config = () => {
    loaded ??= loadAndWarn(configSources, { caution, warn, trace });
    return loaded;
  };
  const openWith = async (given: Promise<Config>, migratesEmbedded: boolean): Promise<Context> => {
    const [{ settings }, { createContext }] = await Promise.all([given, import('../app/create-context.js')]);
    return createContext({
      ...{ settings, clock, actor: actorOf(values), notice, caution, warn, trace, migratesEmbedded },
    });
  };
  const context: Invocation['context'] = ({ migratesEmbedded = !globals.dryRun } = {}) => {
    opened ??= openWith(config(), migratesEmbedded);
    return opened;
  };
  const briefly: Invocation['briefly'] = async (settings, seconds, read) => {
    const silent = () => {};
    try {
      const { createContext } = await import('../app/create-context.js');
      const tools = {
        clock,
        actor: actorOf(values),
        notice: silent,
        caution: silent,
        warn: silent,
        trace: silent,
      };
      const context = createContext({
        settings: { ...settings, timeout: seconds },
        migratesEmbedded: false,
        ...tools,
      });
      const late = new Promise<null>((resolve) => setTimeout(resolve, seconds * 1000, null).unref());
      return await Promise.race([read(context), late]).finally(() => context.dispose());
    } catch {
      return null;
    }
  };
  const openPrompt = async () => (await import('../app/create-context.js')).openPrompt();
  const progress: Invocation['progress'] = async (label, { whilePrinting = false } = {}) => {
    if (!mayDrawProgress(globals, io) || (whilePrinting && io.stdout.isTTY === true)) return NO_PROGRESS;
    const { openProgress } = await import('./output/progress.js');
    shown = openProgress(label, { stream: io.stderr });
    return shown;
  };
  const invocation: Invocation = {
    ...createReaders(io, signal, caution),
    globals,
    configSources,
    sourcesOf: (other) => sourcesOf(other, io),
    get logStyle() {
      return logStyleOf(values, io);
    },
    diagnostics,
    signal,
    caution,
    note: notice,
    config,
    context,
    briefly,
    openInput: async (name) => {
      const { input, close } = await openInput(name, io, signal);
      closers.push(close);
      return input;
    },
    reportLines: (first, last, error) => {
      shown?.clear();
      io.stderr.write(describeLines(first, last, error, globals.format));
    },
    progress,
    privateFile: (name) => createPrivateFile(name, io.cwd),
    publicFile: (name) => openPublicFile(name, io.cwd),
    ownFile: (name, options) => openOwnFile(name, io.cwd, options),
    present: async (view) => {
      const { render } = await import('./output/render.js');
      const screen = () => ({ columns: columnsOf(io.stderr), rows: null });
      await render(view, io.stderr, {
        format: 'table',
        color: mayColor(values, io, io.stderr),
        complete,
        screen,
      });
    },
    confirm: async (question, typeBack) => {
      if (globals.yes) return;
      signal.throwIfAborted();
      await ask(globals, { prompt: openPrompt }, signal, printableLines(question), typeBack);
    },
    waitUntil: async (time, what) => {
      const { waitVisibly } = await import('./output/countdown.js');
      const stderr = globals.format === 'table' && !globals.isQuiet ? io.stderr : null;
      const canRedraw = io.stderr.isTTY === true && io.env.TERM !== 'dumb';
      await waitVisibly(time, printable(what), { clock, diagnostics: stderr, canRedraw, signal });
    },
    withProgress: async (label, walk) => {
      const line = await progress(label);
      try {
        return await walk(({ done, total, unit, entries }) =>
          line.update(done, total, '', {
            unit,
            ...(entries === undefined ? {} : { yield: { count: entries, unit: 'tokens' } }),
          }),
        );
      } finally {
        line.clear();
      }
    },
    proceed: async (question) => {
      if (globals.yes) return;
      const choices = [
        { value: 'yes', name: 'yes' },
        { value: 'no', name: 'no' },
      ] as const;
      if ((await invocation.choose(question, choices, 'yes')) === 'no') throw notConfirmed();
    },
    askText: async (question, { initial = null, ...options }) =>
      answered(await (await openPrompt()).text(printable(question), { initial, ...options }, signal)),
    choose: async (question, choices, initial) =>
      answered(await (await openPrompt()).choose(printable(question), choices, initial, signal)),
    openWith: async (other) => {
      const added = await openWith(Promise.resolve(other), true);
      others.push(added);
      return added;
    },
    askSecret: async (what) => {
      if (!globals.canAsk) throw passphraseNeeded(what);
      return answered(await (await openPrompt()).password(`${printable(what)}:`, signal));
    },
  };
  const dispose = async () => {
    for (const close of closers) close();
    const all = [await opened?.catch(() => undefined), ...others];
    await Promise.all(all.map((one) => one?.dispose()));
  };
  return { invocation, dispose };
}

/** The user ended a question that has no answer. */
function answered<Answer>(answer: Answer | null): Answer {
  if (answer === null) throw notConfirmed();
  return answer;
}

const NO_PROGRESS: Progress = { update: () => {}, clear: () => {} };

async function loadAndWarn(
  sources: ConfigSources,
  { caution, warn, trace }: Record<'caution' | 'warn' | 'trace', (text: string) => void>,
): Promise<Config> {
  const { loadConfig } = await import('../config/load-config.js');
  const config = await loadConfig(sources);
  // Another user may have written the project file.
  if (config.storeNotice !== null) warn(config.storeNotice);
  for (const warning of config.warnings) caution(warning);
  for (const file of config.files) if (file.exists) trace(`Read ${file.path}.`);
  return config;
}
