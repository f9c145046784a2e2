import { type ChildProcess, spawn } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { systemClock } from '../../src/app/clock.js';
import type { TokenRegistry } from '../../src/domain/ports/index.js';
import type { LiveVerifier } from '../../src/verifier/live-verifier.js';
import { openLiveVerifier } from '../../src/verifier/open-live-verifier.js';
import { type Cli, cli, MovableClock } from './cli.js';
import { openContext } from './opened-context.js';
import type { Stores } from './stores.js';

const LIBRARY = new URL('../../dist/index.js', import.meta.url).href;

/** The host's clock, for a command line that waits for verifiers which use real time. */
class HostClock extends MovableClock {
  override readonly now = systemClock.now;
  override readonly until = systemClock.until;
  override readonly pause = systemClock.pause;
}

/** Verifiers over the stores of a command line, in real time. */
export interface Verifiers {
  /** The command line, in real time. */
  shell: Cli;
  /** The context of the command line. */
  registry: TokenRegistry;
  open(): Promise<LiveVerifier>;
  /** Starts one in its own process. */
  spawn(): Promise<ChildProcess>;
  /** Ends all of them. */
  close(): Promise<void>;
}

export async function verifiersOver({ env, home }: Stores): Promise<Verifiers> {
  const clock = new HostClock();
  const context = await openContext({ env, home, clock });
  const closers: Array<() => unknown> = [];
  return {
    shell: cli({ env, home, clock }),
    registry: await context.registry(),
    open: async () => {
      const verifier = await openLiveVerifier(context);
      closers.push(() => verifier.close());
      return verifier;
    },
    spawn: async () => {
      const file = join(home, 'verifier.mjs');
      writeFileSync(
        file,
        `import { openVerifier } from '${LIBRARY}';
         await openVerifier();
         console.log('open');`,
      );
      const child = spawn(process.execPath, [file], { env, cwd: home, stdio: ['ignore', 'pipe', 'inherit'] });
      closers.push(() => child.kill('SIGKILL'));
      await new Promise<void>((resolve, reject) => {
        child.stdout?.once('data', () => resolve());
        child.once('close', (code) => reject(new Error(`The verifier ended with ${code}.`)));
      });
      return child;
    },
    close: async () => {
      await Promise.all(closers.splice(0).map((close) => close()));
      await context.dispose();
    },
  };
}
