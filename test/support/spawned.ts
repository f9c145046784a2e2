import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { type CliResult, everythingPrinted, resultOf } from './cli.js';

/** The built command line. */
export const BIN = fileURLToPath(new URL('../../bin/jwtctl.js', import.meta.url));

export interface Ended extends CliResult {
  /** The milliseconds from `killFrom` to the end; null if that text did not appear. */
  elapsedFromMs: number | null;
  /** Set if a signal ended the process; `exitCode` is -1 then. */
  signal: NodeJS.Signals | null;
  elapsedMs: number;
}

export interface SpawnOptions {
  env?: Record<string, string>;
  cwd?: string;
  stdin?: string;
  /** Kills the process after this many milliseconds, which a test sees by `signal`. Default: 20,000. */
  killAfterMs?: number;
  /** Counts `killAfterMs` from when standard error contains this text. Default: from the start. */
  killFrom?: string;
}

/** Runs the built command line in its own process, with only `options.env`. */
export function spawnCli(argv: readonly string[], options: SpawnOptions = {}): Promise<Ended> {
  return spawnProgram(process.execPath, [BIN, ...argv], options);
}

/** Runs a program to its end. */
export function spawnProgram(
  program: string,
  argv: readonly string[],
  options: SpawnOptions = {},
): Promise<Ended> {
  const { env = {}, cwd = '/', stdin = '', killAfterMs = 20_000, killFrom = '' } = options;
  const startedAt = performance.now();
  return new Promise((resolve, reject) => {
    const child = spawn(program, argv, { cwd, env, stdio: 'pipe' });
    let stdout = '';
    let stderr = '';
    let from: number | null = null;
    let killer: NodeJS.Timeout | undefined;
    const countFromHere = () => {
      if (from !== null || !stderr.includes(killFrom)) return;
      from = performance.now();
      killer = setTimeout(() => child.kill('SIGKILL'), killAfterMs);
    };
    countFromHere();
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      stdout += text;
    });
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      stderr += text;
      countFromHere();
    });
    child.on('error', reject);
    child.on('close', (code, signal) => {
      clearTimeout(killer);
      everythingPrinted.push(stdout, stderr);
      const elapsedMs = performance.now() - startedAt;
      const elapsedFromMs = from === null ? null : performance.now() - from;
      resolve({ ...resultOf(code ?? -1, stdout, stderr), signal, elapsedMs, elapsedFromMs });
    });
    // A program that reads no input may be gone before the write.
    child.stdin.on('error', () => {});
    child.stdin.end(stdin);
  });
}
