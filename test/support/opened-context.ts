import { systemClock } from '../../src/app/clock.js';
import type { Context } from '../../src/app/context.js';
import { createContext } from '../../src/app/create-context.js';
import { loadConfig } from '../../src/config/load-config.js';
import type { Clock } from '../../src/domain/ports/index.js';
import type { Cli } from './cli.js';

/** Opens the context of a command line over these stores, for a test that calls its parts. */
export async function openContext({
  env,
  home,
  clock,
  caution = silent,
}: Pick<Cli, 'env' | 'home'> & { clock: Clock; caution?: (text: string) => void }): Promise<Context> {
  const { settings } = await loadConfig({ env, cwd: home });
  const diagnostics = { notice: silent, caution, warn: silent, trace: silent };
  return createContext({ settings, clock, actor: 'the test', ...diagnostics });
}

function silent(): void {}

/** Returns a clock with the test's time whose waits take real time, for background work. */
export function inBackground({ now }: Pick<Clock, 'now'>): Clock {
  const { pause } = systemClock;
  return { now, until: (time, signal) => pause(Math.max(0, time - now()) * 1000, signal), pause };
}
