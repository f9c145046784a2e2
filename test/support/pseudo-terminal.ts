import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { everythingPrinted } from './cli.js';
import { BIN } from './spawned.js';

const SCRIPT = fileURLToPath(new URL('pseudo-terminal.py', import.meta.url));

/** Once the terminal shows `waitFor` after the text of earlier steps, types text or sends a signal. */
export type Step = { waitFor: string } & ({ type: string } | { signal: number });

export interface TerminalResult {
  /** -1 if a signal ended the process. */
  exitCode: number;
  signal: string | null;
  /** Everything the terminal showed: standard output and standard error. */
  output: string;
}

interface TerminalOptions {
  env: Record<string, string>;
  cwd?: string;
  columns?: number;
  killAfterMs?: number;
}

/** Runs the built command line on a real pseudo-terminal. Kills it, by default after 20 s; `signal` then says so. */
export function runOnTerminal(
  options: TerminalOptions,
  steps: readonly Step[],
  ...words: string[]
): Promise<TerminalResult> {
  return runProgramOnTerminal(options, steps, process.execPath, BIN, ...words);
}

/** As {@link runOnTerminal}, with any program. */
export function runProgramOnTerminal(
  { env, cwd = '/', columns = 200, killAfterMs = 20_000 }: TerminalOptions,
  steps: readonly Step[],
  ...argv: string[]
): Promise<TerminalResult> {
  const job = { argv, env: { TERM: 'xterm', ...env }, cwd, steps, columns, killAfterMs };
  return new Promise((resolve, reject) => {
    const python = spawn(process.env.JWTCTL_TEST_PYTHON ?? 'python3', [SCRIPT, JSON.stringify(job)], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    let printed = '';
    python.stdout.setEncoding('utf8').on('data', (text: string) => {
      printed += text;
    });
    python.on('error', reject);
    python.on('close', (code) => {
      if (code !== 0) return reject(new Error(`The pseudo-terminal ended with ${code}.`));
      const result: TerminalResult = JSON.parse(printed);
      everythingPrinted.push(result.output);
      resolve(result);
    });
  });
}
