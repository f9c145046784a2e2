import { PassThrough, Writable } from 'node:stream';
import { main } from '../../src/cli.js';
import { type Cli, type CliResult, everythingPrinted, resultOf } from './cli.js';

/** Runs one command line where a person sits: standard input and stderr are terminals. What they answer is the prompt's. */
export async function runAtTerminal(shell: Cli, ...words: string[]): Promise<CliResult> {
  const printed = { stdout: '', stderr: '' };
  const terminal = (name: keyof typeof printed) => {
    const stream = new Writable({
      write: (chunk, _encoding, done) => {
        printed[name] += chunk;
        done();
      },
    });
    return Object.assign(stream, { isTTY: true });
  };
  const stdin = Object.assign(new PassThrough(), { isTTY: true });
  const io = { stdin, stdout: terminal('stdout'), stderr: terminal('stderr') };
  const exitCode = await main([...words, '--no-color'], {
    ...io,
    env: shell.env,
    cwd: shell.home,
    clock: shell.clock,
  });
  everythingPrinted.push(printed.stdout, printed.stderr);
  return resultOf(exitCode, printed.stdout, printed.stderr);
}
