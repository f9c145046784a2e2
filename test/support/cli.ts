import { mkdtempSync, realpathSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable, Writable } from 'node:stream';
import { afterAll } from 'vitest';
import { main } from '../../src/cli/main.js';
import type { Clock } from '../../src/domain/ports/index.js';

/** A clock that only the test moves. It starts at the host's time, because Redis uses that to expire keys. */
export class MovableClock implements Clock {
  #now = Math.floor(Date.now() / 1000);

  readonly now = (): number => Math.floor(this.#now);

  /** Does not wait: the test moves the clock. */
  readonly until = async (time: number): Promise<void> => {
    this.#now = Math.max(this.#now, time);
  };

  readonly pause = (milliseconds: number): Promise<void> => this.until(this.#now + milliseconds / 1000);

  advance(seconds: number): void {
    this.#now += seconds;
  }
}

export interface CliResult {
  exitCode: number;
  stdout: string;
  stderr: string;
  /** The only JSON document on stdout. */
  // biome-ignore lint/suspicious/noExplicitAny: a test states the shape that it expects
  json(): any;
  /** The `error` of the only JSON document on stderr. */
  error(): { code: string; message: string; hint?: string };
  /** The lines of stdout, without the last newline. */
  lines(): string[];
}

/** The output of every {@link cli} of this test file. */
export const everythingPrinted: string[] = [];

type Word = string | { stdin: string | Buffer | Readable };

export interface Cli {
  /** Runs one command line. One of the words may be `{ stdin }`. */
  run(...words: Word[]): Promise<CliResult>;
  /** Runs it with `--json` and parses the document; fails unless the exit code is 0. */
  // biome-ignore lint/suspicious/noExplicitAny: a test states the shape that it expects
  json(...words: Word[]): Promise<any>;
  readonly clock: MovableClock;
  readonly env: Record<string, string>;
  /** An empty folder, used as working directory, HOME, and XDG folders. */
  readonly home: string;
}

/** Runs `main` in this process, with captured streams, a manual clock, and an empty environment. */
export function cli(
  options: {
    env?: Record<string, string>;
    clock?: MovableClock;
    home?: string;
    signal?: AbortSignal;
    /** Called with each chunk of standard output. */
    onStdout?: (text: string) => void;
  } = {},
): Cli {
  const home = options.home ?? temporaryFolder();
  const clock = options.clock ?? new MovableClock();
  const env = { HOME: home, XDG_DATA_HOME: join(home, 'data'), XDG_CONFIG_HOME: home, ...options.env };

  const run = async (...words: Word[]): Promise<CliResult> => {
    const argv = words.filter((word) => typeof word === 'string');
    const input = words.find((word) => typeof word !== 'string')?.stdin ?? '';
    const stdout = new Capture(options.onStdout);
    const stderr = new Capture();
    const stdin = input instanceof Readable ? input : Readable.from([input], { objectMode: false });
    const io = { stdin, stdout, stderr, env, cwd: home, clock };
    const exitCode = await main(argv, io, options.signal);
    everythingPrinted.push(stdout.text, stderr.text);
    return resultOf(exitCode, stdout.text, stderr.text);
  };
  return {
    run,
    json: async (...words) => {
      const result = await run(...words, '--json');
      if (result.exitCode !== 0) throw new Error(`Exit ${result.exitCode}: ${result.stderr}`);
      return result.json();
    },
    clock,
    env,
    home,
  };
}

export function resultOf(exitCode: number, stdout: string, stderr: string): CliResult {
  return {
    exitCode,
    stdout,
    stderr,
    json: () => JSON.parse(stdout),
    error: () => JSON.parse(stderr).error,
    lines: () => (stdout === '' ? [] : stdout.replace(/\n$/, '').split('\n')),
  };
}

const folders: string[] = [];
afterAll(() => {
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true });
});

/** Creates a folder that is removed at the end of the test file. */
export function temporaryFolder(): string {
  const folder = realpathSync(mkdtempSync(join(tmpdir(), 'jwtctl-cli-')));
  folders.push(folder);
  return folder;
}

class Capture extends Writable {
  text = '';
  readonly #onText: (text: string) => void;

  constructor(onText: (text: string) => void = () => {}) {
    super();
    this.#onText = onText;
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: () => void): void {
    this.text += chunk.toString();
    this.#onText(chunk.toString());
    done();
  }
}
