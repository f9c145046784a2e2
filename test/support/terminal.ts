import { PassThrough, Writable } from 'node:stream';
import { main } from '../../src/cli/main.js';
import { type Cli, type CliResult, everythingPrinted, resultOf } from './cli.js';

export interface Terminal {
  columns?: number;
  rows?: number;
  env?: Record<string, string>;
  signal?: AbortSignal;
  /** Called with each chunk of standard output. The write completes when it resolves. */
  onOutput?: (text: string, resize: (columns: number, rows: number) => void) => Promise<void> | void;
}

/** Runs one command line with standard input and stderr as terminals. The answers go to its prompts. */
export function runAtTerminal(shell: Cli, ...words: string[]): Promise<CliResult> {
  return runAt({}, shell, ...words);
}

/** Does the same on a terminal of a given size, and watches its output. */
export async function runAt(terminal: Terminal, shell: Cli, ...words: string[]): Promise<CliResult> {
  const printed = { stdout: '', stderr: '' };
  const { columns, rows } = terminal;
  const stream = (name: keyof typeof printed) => {
    const writable = new Writable({
      write: (chunk, _encoding, done) => {
        printed[name] += chunk;
        const taken = name === 'stdout' ? terminal.onOutput?.(String(chunk), resize) : undefined;
        Promise.resolve(taken).then(() => done(), done);
      },
    });
    return Object.assign(writable, { isTTY: true, ...(columns && { columns }), ...(rows && { rows }) });
  };
  const stdin = Object.assign(new PassThrough(), { isTTY: true });
  const io = { stdin, stdout: stream('stdout'), stderr: stream('stderr') };
  const resize = (columns: number, rows: number) => {
    Object.assign(io.stdout, { columns, rows });
    io.stdout.emit('resize');
  };
  const exitCode = await main(
    [...words, '--no-color'],
    { ...io, env: { ...shell.env, ...terminal.env }, cwd: shell.home, clock: shell.clock },
    terminal.signal,
  );
  everythingPrinted.push(printed.stdout, printed.stderr);
  return resultOf(exitCode, printed.stdout, printed.stderr);
}
