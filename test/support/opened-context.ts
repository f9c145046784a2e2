import { systemClock } from '../../src/app/clock.js';
import { type Context, createContext } from '../../src/app/context.js';
import { loadConfig } from '../../src/config/load.js';
import type { Clock } from '../../src/domain/ports/index.js';
import type { Cli } from './cli.js';

/** Opens the context of a command line over these stores, for a test that calls its parts. */
export async function openContext({
  env,
  home,
  clock,
}: Pick<Cli, 'env' | 'home'> & { clock: Clock }): Promise<Context> {
  const { settings } = await loadConfig({ env, cwd: home });
  const silent = () => {};
  const diagnostics = { notice: silent, caution: silent, warn: silent, trace: silent };
  return createContext({ settings, clock, actor: 'the test', ...diagnostics });
}

/** Returns a clock with the test's time whose waits take real time, for background work. */
export function inBackground({ now }: Pick<Clock, 'now'>): Clock {
  const { pause } = systemClock;
  return { now, until: (time, signal) => pause(Math.max(0, time - now()) * 1000, signal), pause };
}
