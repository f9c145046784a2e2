import type { Command } from 'commander';
import { ownVersion } from '../app/version.js';
import { JwtctlError } from '../domain/shared/errors.js';
import { asSentence, excerpt, insideQuotes } from '../domain/shared/text.js';
import { MistypedError } from './command.js';
import type { Diagnostics } from './diagnostics.js';
import { completingCommands } from './given-flags.js';
import {
  foreseeGlobals,
  type Globals,
  type GlobalValues,
  mayColor,
  readGlobals,
  sourcesOf,
} from './globals.js';
import { createInvocation, type Run } from './invocation.js';
import { type Io, screenOf } from './io.js';
import { describeError } from './output/describe-error.js';
import { EXIT, exitCodeOf } from './output/exit-code.js';
import { render } from './output/render.js';
import type { Completion } from './output/view.js';
import { buildProgram } from './program.js';

export type { Io } from './io.js';

/** Runs one command line, and returns the exit code. Never throws. */
export async function main(
  argv: readonly string[],
  io: Io,
  signal: AbortSignal = new AbortController().signal,
): Promise<number> {
  let values: GlobalValues = foreseeGlobals(argv);
  let exitCode: number = EXIT.done;
  let diagnostics: Diagnostics | undefined;
  const run: Run =
    (action) =>
    async (...args) => {
      const command = args.pop() as Command;
      const flags = args.pop() as never;
      values = command.optsWithGlobals();
      const { invocation, dispose } = createInvocation(values, io, signal);
      diagnostics = invocation.diagnostics;
      try {
        warnOfQuotes(command, args, invocation.caution);
        const outcome = await action(invocation, flags, ...(args as never));
        const { globals } = invocation;
        const writeLines = (lines: readonly string[]) => {
          for (const line of lines) invocation.diagnostics.write(line);
        };
        writeLines(outcome.warnings ?? []);
        if (outcome.view !== undefined)
          await render(outcome.view, io.stdout, {
            format: globals.format,
            isWide: globals.isWide,
            color: mayColor(values, io),
            complete: completingCommands(values),
            screen: () => screenOf(io),
          });
        writeLines(notesOf(outcome, globals, dryRunNotes(globals)));
        const completion = (await outcome.completion?.()) ?? outcome;
        if (completion !== outcome)
          writeLines([...notesOf(completion, globals), ...(completion.warnings ?? [])]);
        if (completion.error !== undefined) throw completion.error;
        exitCode = completion.exitCode ?? EXIT.done;
        if (signal.aborted && completion.endsByInterruption !== true) exitCode = EXIT.interrupted;
      } finally {
        await dispose();
      }
    };
  const help = {
    out: (text: string) => io.stdout.write(text),
    // Commander writes help here for a group without a verb. With JSON output that is an error.
    err: (text: string) => {
      if (!wantsJson(values, io)) io.stdout.write(text);
    },
  };

  let program: Command | undefined;
  try {
    program = await buildProgram(argv, run, help);
    program.on('option:version', () => {
      throw new VersionRequest();
    });
    await program.parseAsync([...argv], { from: 'user' });
    return exitCode;
  } catch (thrown) {
    const error = (await profileFault(thrown, program?.opts() ?? {}, io)) ?? thrown;
    return conclude(error, { values, io, signal, diagnostics });
  } finally {
    diagnostics?.release();
  }
}

/** Quotes that the shell did not remove belong to the value: `--sub '"alice"'`. `--claim` has its own rules. */
function warnOfQuotes(command: Command, args: readonly unknown[], caution: (text: string) => void): void {
  const flags = command.options.map((option) => ({
    name: String(option.long),
    form: `${option.long} `,
    values: [command.getOptionValue(option.attributeName())].flat(),
  }));
  const words = command.registeredArguments.map((argument, index) => ({
    name: argument.name().toUpperCase(),
    form: '',
    values: [args[index]],
  }));
  for (const { name, form, values } of [...flags, ...words]) {
    // A token is a secret. Its quotes are removed.
    if (name === '--claim' || name === 'TOKEN') continue;
    for (const value of values) {
      const inner = typeof value === 'string' ? insideQuotes(value) : null;
      if (inner === null) continue;
      caution(
        `The value of ${name} has quotes around it, which are part of the value. Did you mean ${form}${excerpt(inner)}?`,
      );
    }
  }
}

/** Notes follow the view, because they often say what to do next. */
function notesOf(
  { notes = [] }: Completion,
  { isQuiet }: Globals,
  furtherNotes: readonly string[] = [],
): readonly string[] {
  return isQuiet ? [] : [...notes, ...furtherNotes];
}

/** A JSON document says itself that it is of a dry run. */
function dryRunNotes({ dryRun, format }: Globals): readonly string[] {
  return dryRun && format !== 'json' ? ['Dry run: nothing was changed.'] : [];
}

class VersionRequest extends Error {}

/** Without a command, nothing else looks whether the profile exists. */
async function profileFault(error: unknown, values: GlobalValues, io: Io): Promise<unknown> {
  if (!hasCode(error, 'commander.help') || values.profile === undefined) return null;
  const { loadConfig } = await import('../config/load-config.js');
  return loadConfig(sourcesOf(values, io)).then(
    () => null,
    (fault) => fault,
  );
}

async function conclude(
  error: unknown,
  {
    values,
    io,
    signal,
    diagnostics,
  }: { values: GlobalValues; io: Io; signal: AbortSignal; diagnostics: Diagnostics | undefined },
): Promise<number> {
  if (error instanceof VersionRequest) {
    await new Promise((resolve) => io.stdout.write(`${ownVersion()}\n`, resolve));
    return EXIT.done;
  }
  // The reader has closed the pipe (`| head`).
  if (hasCode(error, 'EPIPE')) return EXIT.done;
  const shown = isCommanderError(error)
    ? usageError(error, wantsJson(values, io))
    : signal.aborted && isAbort(error)
      ? interrupted()
      : error;
  if (shown === null) return EXIT.done;
  const isVerbose = values.verbose === true;
  const lines = diagnostics?.take() ?? [];
  io.stderr.write(
    describeError(shown, readGlobals(values, io).format, {
      ...{ isVerbose, diagnostics: lines, complete: completingCommands(values) },
    }),
  );
  return signal.aborted ? EXIT.interrupted : exitCodeOf(shown);
}

/** Translates an error of commander; null if it only showed help. */
function usageError(error: Error & { code: string; exitCode: number }, isJson: boolean): JwtctlError | null {
  if (error.exitCode === 0) return null;
  if (error.code === 'commander.help') {
    if (!isJson) return null;
    return new JwtctlError('ERR_USAGE', 'A command is missing.', {
      hint: 'Add --help to list the commands.',
    });
  }
  const { suggestion, advice } = error instanceof MistypedError ? error : NO_ADVICE;
  const meant = suggestion === null ? (advice ?? undefined) : `Did you mean ${suggestion}?`;
  return new JwtctlError('ERR_USAGE', oneSentence(withoutValues(error).replace(/^error: /, '')), {
    hint: meant ?? USAGE_HINTS[error.code] ?? 'Run the command with --help to see its flags.',
  });
}

const NO_ADVICE = { suggestion: null, advice: null };

const USAGE_HINTS: Readonly<Record<string, string>> = {
  'commander.unknownCommand':
    '`jwtctl help` lists the commands. `jwtctl help keys` lists the commands of a group.',
  'commander.unknownOption':
    'Run the command with --help to see its flags. Pass a value that begins with a dash as --flag=-x, or after --.',
};

/** Hides quoted words that do not look like names: they may be a password after `=`, or a token. */
function withoutValues({ code, message }: { code: string; message: string }): string {
  // An unknown word may contain quotes, and is the only quoted word in its message.
  const isUnknownWord = code === 'commander.unknownOption' || code === 'commander.unknownCommand';
  return message.replace(isUnknownWord ? /'(.*)'/s : /'([^']*)'/g, (_quoted, word: string) => {
    const name = word.replace(/=.*$/s, '=…');
    if (code === 'commander.invalidArgument' && /^[\w-]{1,16}$/.test(word)) return `'${word}'`;
    return `'${/^-{0,2}[a-z][a-z-]{0,40}(=…)?( <.*>)?$/i.test(name) ? name : `${name.slice(0, 4)}…`}'`;
  });
}

function oneSentence(text: string): string {
  const line = text.replace(/\n/g, ' ');
  return asSentence(`${line.charAt(0).toUpperCase()}${line.slice(1)}`);
}

function interrupted(): JwtctlError {
  return new JwtctlError('ERR_INTERRUPTED', 'Interrupted: no new work was started.');
}

function wantsJson(values: GlobalValues, io: Io): boolean {
  return ['json', 'ndjson'].includes(readGlobals(values, io).format);
}

function isCommanderError(error: unknown): error is Error & { code: string; exitCode: number } {
  return (
    error instanceof Error &&
    'exitCode' in error &&
    'code' in error &&
    String(error.code).startsWith('commander.')
  );
}

function isAbort(error: unknown): boolean {
  return error instanceof Error && error.name === 'AbortError';
}

function hasCode(error: unknown, code: string): boolean {
  return error instanceof Error && 'code' in error && error.code === code;
}
