import { createReadStream } from 'node:fs';
import { resolve } from 'node:path';
import { addAbortSignal, type Readable, type Writable } from 'node:stream';
import { systemClock } from '../app/clock.js';
import { type Context, createContext } from '../app/context.js';
import { login } from '../app/login.js';
import { createPrivateFile } from '../app/private-file.js';
import type { Config, ConfigSources } from '../config/load.js';
import { SETTINGS, type SettingPath } from '../config/settings.js';
import type { Clock } from '../domain/ports/index.js';
import { JwtctlError } from '../domain/shared/errors.js';
import { fileNameShown, parseActor, printable, printableLines } from '../domain/shared/text.js';
import { ask, notConfirmed, passphraseNeeded } from './confirmation.js';
import type { Globals, Input, Invocation } from './invocation.js';
import { describeLines } from './output/errors.js';
import type { Progress } from './output/progress.js';

/** What a run of the command line reads and writes; a test passes its own. */
export interface Io {
  stdin: Readable & { isTTY?: boolean };
  stdout: Writable & { isTTY?: boolean; columns?: number; rows?: number };
  stderr: Writable & { isTTY?: boolean; columns?: number };
  env: Readonly<Record<string, string | undefined>>;
  cwd: string;
  /** Default: the host's. */
  clock?: Clock;
}

/** The values of the global flags, as commander names them. */
export type GlobalValues = Record<string, unknown>;

export function readGlobals(values: GlobalValues, io: Io): Globals {
  const isQuiet = values.quiet === true;
  const chosen = values.output ?? (values.json === true ? 'json' : isQuiet ? 'quiet' : 'table');
  return {
    format: chosen as Globals['format'],
    isQuiet,
    yes: values.yes === true,
    dryRun: values.dryRun === true,
    canRedraw: io.stdout.isTTY === true && io.env.TERM !== 'dumb',
    canAsk: values.input !== false && io.stdin.isTTY === true && io.stderr.isTTY === true,
  };
}

/** What `argv` says of the output, for an error that comes before commander has read all of it. */
export function foreseeGlobals(argv: readonly string[]): GlobalValues {
  const end = argv.indexOf('--');
  const words = (end === -1 ? argv : argv.slice(0, end)).join('\n');
  const chosen = /^(?:-o\n?|--output[\n=])(table|json|ndjson)$/m.exec(words)?.[1];
  return { json: /^--json$/m.test(words), ...(chosen === undefined ? {} : { output: chosen }) };
}

export function mayColor(values: GlobalValues, io: Io, stream: { isTTY?: boolean } = io.stdout): boolean {
  const { NO_COLOR, TERM } = io.env;
  return values.color !== false && stream.isTTY === true && !NO_COLOR && TERM !== 'dumb';
}

/** Some terminals say 0 for what they do not know. */
export function screenOf({ stdout }: Io): { columns: number | null; rows: number | null } {
  return { columns: columnsOf(stdout), rows: stdout.rows || null };
}

/** Returns null without a terminal, because a pipe gets the full width. */
function columnsOf({ isTTY, columns }: { isTTY?: boolean; columns?: number }): number | null {
  return isTTY === true ? columns || USUAL_COLUMNS : null;
}

/** The width of a terminal that does not report one. */
const USUAL_COLUMNS = 80;

/** One invocation: its configuration, its context and its ways to ask, each made when it is first needed. */
export function createInvocation(values: GlobalValues, io: Io, signal: AbortSignal) {
  const globals = readGlobals(values, io);
  const configSources = sourcesOf(values, io);
  const notice = (text: string) => {
    if (!globals.isQuiet && globals.format !== 'json') warn(text);
  };
  const caution = (text: string) => notice(`Warning: ${text}`);
  // Shown even with -q, because a stranger may have written the file. With JSON output, stderr has only an error document or nothing.
  const noteStore = (text: string) => {
    if (globals.format !== 'json') warn(text);
  };
  const warn = (text: string) => io.stderr.write(`${printableLines(text)}\n`);
  const trace = (text: string) => {
    if (values.verbose === true) warn(text);
  };
  let loaded: Promise<Config> | undefined;
  let opened: Promise<Context> | undefined;
  let shown: Progress | undefined;
  const closers: Array<() => void> = [];

  const config = () => {
    loaded ??= loadAndWarn(configSources, { caution, noteStore, trace });
    return loaded;
  };
  const context = () => {
    opened ??= config().then(({ settings }) =>
      createContext({
        settings,
        clock: io.clock ?? systemClock,
        actor: actorOf(values),
        notice,
        caution,
        warn,
        trace,
      }),
    );
    return opened;
  };
  const invocation: Invocation = {
    globals,
    configSources,
    signal,
    caution,
    config,
    context,
    readText: async (value) => {
      if (value === '-') return withoutNewline(await readStdin(io, signal));
      return value.startsWith('@') ? withoutNewline(await readNamed(value.slice(1), io, signal)) : value;
    },
    readFile: (name, maxBytes) =>
      name === '-'
        ? readStdin(io, signal, maxBytes)
        : readNamed(name.replace(/^@/, ''), io, signal, maxBytes),
    readKey: async (name, flag, maxBytes) => {
      if (name === '-') return readStdin(io, signal, maxBytes);
      const [{ isInherited }, { readKeyFile }] = await importFileReaders();
      const file = resolve(io.cwd, name.replace(/^@/, ''));
      if (isInherited(file)) return readNamed(file, io, signal, maxBytes);
      return readKeyFile(file, { setting: flag, warn: caution }, maxBytes);
    },
    readSecret: async (name, flag) => {
      if (name === '-') return withoutNewline(await readStdin(io, signal, MAX_SECRET_BYTES));
      const [{ isInherited }, { readSecretFile }] = await importFileReaders();
      const file = resolve(io.cwd, name.replace(/^@/, ''));
      if (isInherited(file)) return withoutNewline(await readNamed(file, io, signal, MAX_SECRET_BYTES));
      return readSecretFile(file, { setting: flag, warn: caution });
    },
    openInput: async (name) => {
      const { input, close } = await openInput(name, io, signal);
      closers.push(close);
      return input;
    },
    reportLines: (first, last, error) => {
      shown?.clear();
      io.stderr.write(describeLines(first, last, error, globals.format));
    },
    progress: async (label, { whilePrinting = false } = {}) => {
      if (!mayDrawProgress(globals, io) || (whilePrinting && io.stdout.isTTY === true)) return UNSEEN;
      const { openProgress } = await import('./output/progress.js');
      shown = openProgress(label, { stream: io.stderr });
      return shown;
    },
    privateFile: (name) => createPrivateFile(name, io.cwd),
    present: async (view) => {
      const { render } = await import('./output/render.js');
      const screen = () => ({ columns: columnsOf(io.stderr), rows: null });
      await render(view, io.stderr, { format: 'table', color: mayColor(values, io, io.stderr), screen });
    },
    confirm: async (question, typeBack) => {
      if (globals.yes) return;
      const opened = await context();
      // Whoever interrupted is not asked any more.
      signal.throwIfAborted();
      await ask(globals, opened, signal, printableLines(question), typeBack);
    },
    waitUntil: async (time, what) => {
      const { waitVisibly } = await import('./output/countdown.js');
      // Beside JSON stderr holds an error document or nothing.
      const diagnostics = globals.format === 'table' && !globals.isQuiet ? io.stderr : null;
      const canRedraw = io.stderr.isTTY === true && io.env.TERM !== 'dumb';
      await waitVisibly(time, printable(what), {
        clock: io.clock ?? systemClock,
        diagnostics,
        canRedraw,
        signal,
      });
    },
    withProgress: async (label, walk) => {
      if (!mayDrawProgress(globals, io)) return walk(() => {});
      const { openProgress } = await import('./output/progress.js');
      const progress = openProgress(label, { stream: io.stderr });
      try {
        return await walk(({ done, total, unit, entries }) =>
          progress.update(done, total, '', {
            unit,
            ...(entries === undefined ? {} : { yield: { count: entries, unit: 'tokens' } }),
          }),
        );
      } finally {
        progress.clear();
      }
    },
    askSecret: async (what) => {
      if (!globals.canAsk) throw passphraseNeeded(what);
      const secret = await (await (await context()).prompt()).password(`${printable(what)}:`, signal);
      if (secret === null) throw notConfirmed();
      return secret;
    },
  };
  const dispose = async () => {
    for (const close of closers) close();
    await (await opened?.catch(() => undefined))?.dispose();
  };
  return { invocation, dispose };
}

async function openInput(
  name: string,
  io: Io,
  signal: AbortSignal,
): Promise<{ input: Input; close(): void }> {
  const [{ openSource }, { readLines }, { readObjects }, { readRows }] = await Promise.all([
    import('./input/source.js'),
    import('./input/lines.js'),
    import('./input/objects.js'),
    import('./input/rows.js'),
  ]);
  const source = await openSource(name, { stdin: io.stdin, cwd: io.cwd, signal });
  const { close, chunks, fractionRead } = source;
  const input: Input = {
    ...{ name: source.name, chunks, fractionRead },
    lines: () => ({ close, lines: readLines(chunks()) }),
    objects: () => ({ close, lines: readObjects(readLines(chunks())) }),
    rows: (columns, format) => ({ close, lines: readRows(source, columns, format) }),
  };
  return { input, close };
}

const MAX_SECRET_BYTES = 4096;

const UNSEEN: Progress = { update: () => {}, clear: () => {} };

/** For eyes, on a terminal that can be drawn on. */
function mayDrawProgress({ format, isQuiet }: Globals, { stderr, env }: Io): boolean {
  return format === 'table' && !isQuiet && stderr.isTTY === true && env.TERM !== 'dumb';
}

function sourcesOf(values: GlobalValues, io: Io): ConfigSources {
  const flags: Partial<Record<SettingPath, unknown>> = {};
  for (const { path, flag } of SETTINGS) {
    const value = flag === null ? undefined : values[attributeOf(flag)];
    if (value !== undefined) flags[path] = value;
  }
  return {
    flags,
    env: io.env,
    cwd: io.cwd,
    configFile: values.config as string | undefined,
    profile: values.profile as string | undefined,
  };
}

/** `--token-max-ttl` is `tokenMaxTtl` to commander. */
function attributeOf(flag: string): string {
  return flag.slice(2).replace(/-(\w)/g, (_match, letter: string) => letter.toUpperCase());
}

async function loadAndWarn(
  sources: ConfigSources,
  { caution, noteStore, trace }: Record<'caution' | 'noteStore' | 'trace', (text: string) => void>,
): Promise<Config> {
  const { loadConfig } = await import('../config/load.js');
  const config = await loadConfig(sources);
  if (config.storeNotice !== null) noteStore(config.storeNotice);
  for (const warning of config.warnings) caution(warning);
  for (const file of config.files) if (file.exists) trace(`Read ${file.path}.`);
  return config;
}

function actorOf(values: GlobalValues): string {
  return values.actor === undefined ? login() : parseActor(String(values.actor));
}

/** Loaded only for the few commands that read a secret. */
function importFileReaders() {
  return Promise.all([import('../app/judged-file.js'), import('../config/named-files.js')]);
}

/** An interrupt ends the wait for whoever was to write. */
function readStdin(io: Io, signal: AbortSignal, maxBytes?: number): Promise<string> {
  return readAll(addAbortSignal(signal, io.stdin), 'Standard input', maxBytes);
}

async function readNamed(file: string, io: Io, signal: AbortSignal, maxBytes?: number): Promise<string> {
  try {
    return await readAll(
      createReadStream(resolve(io.cwd, file), { signal }),
      `The file ${fileNameShown(file)}`,
      maxBytes,
    );
  } catch (error) {
    if (error instanceof JwtctlError || signal.aborted) throw error;
    const code = (error as NodeJS.ErrnoException).code;
    throw new JwtctlError(
      'ERR_FILE_UNREADABLE',
      `The file ${fileNameShown(file)} cannot be read (${code}).`,
      {
        cause: error,
      },
    );
  }
}

/** No more is read than may be, however much there is: a device has no end. */
async function readAll(source: Readable, what: string, maxBytes = Number.POSITIVE_INFINITY): Promise<string> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of source) {
    const bytes = Buffer.from(chunk);
    size += bytes.length;
    if (size > maxBytes) throw tooLarge(what, maxBytes);
    chunks.push(bytes);
  }
  return new TextDecoder().decode(Buffer.concat(chunks));
}

function tooLarge(what: string, maxBytes: number): JwtctlError {
  return new JwtctlError(
    'ERR_FILE_TOO_LARGE',
    `${what} holds more than ${maxBytes} bytes, which is more than is read here.`,
  );
}

function withoutNewline(text: string): string {
  return text.replace(/\r?\n$/, '');
}
