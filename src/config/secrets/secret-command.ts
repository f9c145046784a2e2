import { spawn } from 'node:child_process';
import { type ErrorCode, JwtctlError } from '../../domain/shared/errors.js';
import type { SettingPath } from '../settings.js';

const MAX_OUTPUT_BYTES = 65_536;

/** Runs a command with /bin/sh. Never shows the command line or what it prints, because both may contain secrets. */
export function outputOf(
  command: string,
  { setting, timeoutMs, code }: { setting: SettingPath; timeoutMs: number; code: ErrorCode },
): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = spawn('/bin/sh', ['-c', command], { detached: true, stdio: ['ignore', 'pipe', 'ignore'] });
    const killGroup = () => {
      try {
        if (child.pid !== undefined) process.kill(-child.pid, 'SIGKILL');
      } catch {}
    };
    const settle = (end: () => void) => {
      clearTimeout(timer);
      process.off('exit', killGroup);
      end();
    };
    const fail = (how: string) =>
      settle(() =>
        reject(
          new JwtctlError(code, `The \`${setting}\` command ${how}.`, {
            hint: 'Run it by hand to see why. jwtctl never shows its output.',
            details: { setting },
          }),
        ),
      );
    const stop = (how: string) => {
      killGroup();
      child.stdout.destroy();
      fail(how);
    };
    const timer = setTimeout(() => stop(`did not finish within ${timeoutMs} ms`), timeoutMs);
    // A second Ctrl-C ends this process at once, but the terminal does not signal the command's group.
    process.once('exit', killGroup);

    const chunks: Buffer[] = [];
    let size = 0;
    child.stdout.on('data', (chunk: Buffer) => {
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
