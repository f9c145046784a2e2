import { Option } from 'commander';
import { login } from '../app/os-login.js';
import type { ConfigSources } from '../config/load-config.js';
import { parseActor } from '../domain/shared/text.js';
import type { Io } from './io.js';
import { wantsColor } from './output/color.js';
import type { OutputFormat } from './output/render.js';

export interface Globals {
  format: OutputFormat;
  /** Whether tables show all columns and the whole text: `-o wide`. */
  isWide: boolean;
  isQuiet: boolean;
  isVerbose: boolean;
  yes: boolean;
  dryRun: boolean;
  /** As given on the command line; null if it was not. */
  actor: string | null;
  /** Whether prompts are possible: stdin and stderr are terminals, and `--no-input` is absent. */
  readonly canAsk: boolean;
  readonly canRedraw: boolean;
}

export type GlobalValues = Record<string, unknown>;

export const GLOBAL_OPTIONS: readonly Option[] = [
  new Option('--config <file>', 'read only this configuration file'),
  new Option('--profile <name>', 'use this profile from the configuration files'),
  new Option('-o, --output <format>', 'output format').choices(['table', 'wide', 'json', 'ndjson']),
  new Option('--json', 'same as -o json'),
  new Option('-q, --quiet', 'print IDs only, one per line'),
  new Option('-y, --yes', 'skip confirmations'),
  new Option('-n, --dry-run', 'show what would happen without changing anything'),
  new Option('--no-input', 'never prompt'),
  new Option('--no-color', 'print without colors'),
  new Option('--actor <name>', 'name recorded in the audit log (default: user@host)'),
  new Option('--timeout <duration>', 'limit for connecting and for each store call (default: 5s)'),
  new Option('-v, --verbose', 'print more details on stderr'),
];

/** Begins the name under which commander keeps the value of a setting's flag. The setting's path follows. */
export const SETTING_PREFIX = 'setting:';

export function readGlobals(values: GlobalValues, io: Io): Globals {
  const isQuiet = values.quiet === true;
  const chosen = values.output ?? (values.json === true ? 'json' : isQuiet ? 'quiet' : 'table');
  const isWide = chosen === 'wide';
  return {
    format: (isWide ? 'table' : chosen) as Globals['format'],
    isWide,
    isQuiet,
    isVerbose: values.verbose === true,
    yes: values.yes === true,
    dryRun: values.dryRun === true,
    actor: values.actor === undefined ? null : String(values.actor),
    // Node takes milliseconds to open a stream, and few commands ask.
    get canRedraw() {
      return io.stdout.isTTY === true && io.env.TERM !== 'dumb';
    },
    get canAsk() {
      return values.input !== false && io.stdin.isTTY === true && io.stderr.isTTY === true;
    },
  };
}

/** Reads the output flags from `argv`, for errors that occur before commander has parsed it. */
export function foreseeGlobals(argv: readonly string[]): GlobalValues {
  const end = argv.indexOf('--');
  const words = (end === -1 ? argv : argv.slice(0, end)).join('\n');
  const chosen = /^(?:-o\n?|--output[\n=])(table|wide|json|ndjson)$/m.exec(words)?.[1];
  return { json: /^--json$/m.test(words), ...(chosen === undefined ? {} : { output: chosen }) };
}

export function mayColor(values: GlobalValues, io: Io, stream: { isTTY?: boolean } = io.stdout): boolean {
  return values.color !== false && wantsColor(io.env, stream.isTTY === true);
}

export type LogStyle = 'json' | 'plain' | 'color';

/** How a log on stderr is written: as JSON, unless a person reads it on a terminal. */
export function logStyleOf(values: GlobalValues, io: Io): LogStyle {
  const isForPrograms = ['json', 'ndjson'].includes(readGlobals(values, io).format);
  if (isForPrograms || io.stderr.isTTY !== true) return 'json';
  return mayColor(values, io, io.stderr) ? 'color' : 'plain';
}

export function mayDrawProgress({ format, isQuiet }: Globals, { stderr, env }: Io): boolean {
  return format === 'table' && !isQuiet && stderr.isTTY === true && env.TERM !== 'dumb';
}

export function sourcesOf(values: GlobalValues, io: Io): ConfigSources {
  const { timeout } = values;
  const flags = Object.entries(values)
    .filter(([name]) => name.startsWith(SETTING_PREFIX))
    .map(([name, value]) => [name.slice(SETTING_PREFIX.length), value]);
  return {
    flags: { ...Object.fromEntries(flags), ...(timeout === undefined ? {} : { timeout }) },
    env: io.env,
    cwd: io.cwd,
    configFile: values.config as string | undefined,
    profile: values.profile as string | undefined,
  };
}

export function actorOf(values: GlobalValues): string {
  return values.actor === undefined ? login() : parseActor(String(values.actor));
}
