import { spawn } from 'node:child_process';
import { type ErrorCode, JwtctlError } from '../../domain/shared/errors.js';
import type { SettingPath } from '../settings.js';

const MAX_OUTPUT_BYTES = 65_536;
const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

/** A client of Redis opens a connection again after a failure, and would run its command again. */
let isInterrupted = false;

class InterruptedError extends Error {
  override readonly name = 'AbortError';
  readonly code = 'ABORT_ERR';
}

interface CommandOptions {
  setting: SettingPath;
  timeoutMs: number;
  code: ErrorCode;
  /** For its standard input. Its output is discarded then. */
  input?: string | undefined;
}

/** Runs a command with /bin/sh. Never shows the command line or what it prints, because both may contain secrets. */
export function outputOf(
  command: string,
  { setting, timeoutMs, code, input }: CommandOptions,
): Promise<string> {
  if (isInterrupted) return Promise.reject(new InterruptedError());
  return new Promise((resolve, reject) => {
    const interrupt = () => {
      killGroup();
      child.stdout?.destroy();
      settle(() => reject(new InterruptedError()));
    };
    // Before the start, so that a signal right after it ends the command too.
    startWatching(interrupt);
    const child = spawn('/bin/sh', ['-c', command], {
      detached: true,
      stdio: input === undefined ? ['ignore', 'pipe', 'ignore'] : ['pipe', 'ignore', 'ignore'],
    });
    // A command need not read its input.
    child.stdin?.on('error', () => {}).end(input);
    const killGroup = () => {
      try {
        if (child.pid !== undefined) process.kill(-child.pid, 'SIGKILL');
      } catch {}
    };
    const settle = (end: () => void) => {
      clearTimeout(timer);
      process.off('exit', killGroup);
      stopWatching(interrupt);
      end();
    };
    const fail = (how: string) =>
      settle(() =>
        reject(
          new JwtctlError(code, `The \`${setting}\` command ${how}.`, {
            hint: 'Run the command by hand to see why. jwtctl never shows its output.',
            details: { setting },
          }),
        ),
      );
    const stop = (how: string) => {
      killGroup();
      child.stdout?.destroy();
      fail(how);
    };
    const timer = setTimeout(() => stop(`did not finish within ${timeoutMs} ms`), timeoutMs);
    process.once('exit', killGroup);

    const chunks: Buffer[] = [];
    let size = 0;
    child.stdout?.on('data', (chunk: Buffer) => {
      chunks.push(chunk);
      size += chunk.length;
      if (size > MAX_OUTPUT_BYTES) stop(`printed more than ${MAX_OUTPUT_BYTES} bytes`);
    });
    child.once('error', () => fail('could not be run'));
    child.once('close', (status) => {
      if (status === 0) settle(() => resolve(Buffer.concat(chunks).toString('utf8')));
      else fail(status === null ? 'could not be run' : `exited with status ${status}`);
    });
  });
}

/** Interrupts each running command, whose process group gets neither this process's signals nor the terminal's. */
const running = new Set<() => void>();

function startWatching(interrupt: () => void): void {
  if (running.size === 0) for (const name of SIGNALS) process.on(name, onSignal);
  running.add(interrupt);
}

function stopWatching(interrupt: () => void): void {
  running.delete(interrupt);
  if (running.size === 0) for (const name of SIGNALS) process.off(name, onSignal);
}

function onSignal(name: NodeJS.Signals): void {
  const isHandled = process.listenerCount(name) > 1;
  // A stopping server may still need the command for its last requests.
  if (isHandled && name !== 'SIGINT') return;
  isInterrupted = true;
  for (const interrupt of running) interrupt();
  if (!isHandled) process.kill(process.pid, name);
}
