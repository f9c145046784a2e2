import { systemClock } from '../../src/app/clock.js';
import { type Context, createContext } from '../../src/app/context.js';
import { loadConfig } from '../../src/config/load.js';
import type { Clock } from '../../src/domain/ports/index.js';
import type { Cli } from './cli.js';

/** What a command line over these stores works with, for a test that steps in between. */
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

/** The time that the test moves, for what runs in the background: it waits for as long as that takes. */
export function inBackground({ now }: Pick<Clock, 'now'>): Clock {
  const { pause } = systemClock;
  return { now, until: (time, signal) => pause(Math.max(0, time - now()) * 1000, signal), pause };
}
