import { homedir } from 'node:os';
import { isAbsolute, join, resolve } from 'node:path';

export type Environment = Readonly<Record<string, string | undefined>>;

export interface Places {
  readonly homeDir: string;
  readonly dataHome: string;
  readonly userFile: string;
  readonly systemFile: string;
}

export function placesOf(
  env: Environment,
  given: { homeDir?: string | undefined; systemFile?: string | undefined },
): Places {
  const homeDir = given.homeDir ?? (env.HOME || accountHome());
  return {
    homeDir,
    dataHome: xdg(env.XDG_DATA_HOME) ?? join(homeDir, '.local', 'share'),
    userFile: join(xdg(env.XDG_CONFIG_HOME) ?? join(homeDir, '.config'), 'jwtctl', 'config.yaml'),
    systemFile: given.systemFile ?? '/etc/jwtctl/config.yaml',
  };
}

/** @returns null for another user's home (`~bob/…`), which only a shell could look up */
export function absolutePath(text: string, directory: string, places: Places): string | null {
  const [first, ...rest] = text.split('/');
  if (first === '~') return resolve(places.homeDir, ...rest);
  if (first === '$XDG_DATA_HOME') return resolve(places.dataHome, ...rest);
  return first?.startsWith('~') ? null : resolve(directory, text);
}

/** The specification says to ignore relative paths. */
function xdg(value: string | undefined): string | null {
  return value !== undefined && isAbsolute(value) ? value : null;
}

/** Cron may set no HOME, and a container may run with a user id that has no account. */
function accountHome(): string {
  try {
    return homedir() || '/';
  } catch {
    return '/';
  }
}
