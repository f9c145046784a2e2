import { loadConfig } from '../config/load-config.js';
import { systemClock } from './clock.js';
import type { Context } from './context.js';
import { createContext } from './create-context.js';
import type { OpenOptions } from './open-options.js';

/** Opens the stores of the library. The CLI opens its own in `src/cli/invocation.ts`. */
export async function openContext({ projectFile, ...settings }: OpenOptions): Promise<Context> {
  const config = await loadConfig({
    argument: settings,
    env: process.env,
    cwd: process.cwd(),
    projectFile: projectFile === true,
  });
  if (config.storeNotice !== null) process.emitWarning(config.storeNotice);
  for (const warning of config.warnings) process.emitWarning(warning);
  return createContext({
    settings: config.settings,
    clock: systemClock,
    actor: 'library',
    notice: () => {},
    caution: (text) => process.emitWarning(text),
    warn: (text) => process.emitWarning(text),
    trace: () => {},
  });
}

export async function closingOnFailure<T>(context: Context, open: () => Promise<T>): Promise<T> {
  try {
    return await open();
  } catch (error) {
    await context.dispose();
    throw error;
  }
}
