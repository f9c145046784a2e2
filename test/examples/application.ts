import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { connect } from 'node:net';
import { join } from 'node:path';
import { vi } from 'vitest';
import { temporaryFolder } from '../support/cli.js';
import { ROOT } from '../support/documents.js';
import { freePort } from '../support/free-port.js';

/** Starts one of the examples. */
export interface Platform {
  folder: string;
  isInstalled: boolean;
  /** Returns the program and its arguments. */
  command(port: number): readonly string[];
}

// Debian's python3-flask is for the system's Python. `npm test` sets another one if that is missing.
const PYTHON = process.env.JWTCTL_TEST_PYTHON ?? '/usr/bin/python3';

/** `go run` would leave its child behind. */
const goProgram = (): string => {
  const program = join(temporaryFolder(), 'shop');
  execFileSync('go', ['build', '-o', program, '.'], { cwd: join(ROOT, 'examples/go') });
  return program;
};

export const PLATFORMS: readonly [Platform, Platform, Platform] = [
  {
    folder: 'flask',
    isInstalled: true,
    command: (port) => [PYTHON, '-m', 'flask', 'run', '--port', `${port}`],
  },
  { folder: 'php', isInstalled: true, command: (port) => ['php', '-S', `127.0.0.1:${port}`, 'index.php'] },
  // Go takes more than 200 MB, so `npm test` does not install it.
  { folder: 'go', isInstalled: spawnSync('go', ['version']).status === 0, command: () => [goProgram()] },
];

export interface Application {
  url: string;
  /** What it printed. */
  log(): string;
  stop(): Promise<void>;
}

/** Starts the application, by default the example, and resolves when it listens. */
export async function startApplication(
  { folder, command }: Platform,
  env: Record<string, string>,
  cwd = join(ROOT, 'examples', folder),
): Promise<Application> {
  const port = await freePort();
  const [program = '', ...args] = command(port);
  const child = spawn(program, args, {
    cwd,
    env: { PATH: process.env.PATH, PYTHONDONTWRITEBYTECODE: '1', PORT: `${port}`, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let text = '';
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding('utf8').on('data', (piece: string) => {
      text += piece;
    });
  const ended = once(child, 'close');
  await vi.waitFor(
    async () => {
      if (child.exitCode !== null) throw new Error(`It ended with ${child.exitCode}: ${text}`);
      const socket = connect(port, '127.0.0.1');
      await once(socket, 'connect').finally(() => socket.destroy());
    },
    { timeout: 20_000, interval: 50 },
  );
  return {
    url: `http://127.0.0.1:${port}`,
    log: () => text,
    stop: async () => {
      child.kill('SIGKILL');
      await ended;
    },
  };
}

/** Keeps cookies as a browser does. */
export class Browser {
  readonly cookies = new Map<string, string>();

  constructor(
    readonly url: string,
    cookies: Iterable<readonly [string, string]> = [],
  ) {
    this.cookies = new Map(cookies);
  }

  /** Returns a browser with the same cookies. */
  copy(): Browser {
    return new Browser(this.url, this.cookies);
  }

  async send(method: string, path: string, form?: Record<string, string>) {
    const headers = {
      cookie: [...this.cookies].map(([name, value]) => `${name}=${value}`).join('; '),
      'user-agent': 'Test/1 (caf\u00e9)',
    };
    const body = form === undefined ? null : new URLSearchParams(form);
    const answer = await fetch(this.url + path, { method, headers, body, redirect: 'manual' });
    const set = answer.headers.getSetCookie();
    for (const line of set) {
      const [name = '', value = ''] = (line.split(';')[0] as string).split('=');
      if (/Max-Age=0|expires=Thu, 01[ -]Jan[ -]1970/i.test(line)) this.cookies.delete(name);
      else this.cookies.set(name, value);
    }
    const text = await answer.text();
    return {
      status: answer.status,
      set,
      body: text.startsWith('{') || text.startsWith('[') ? JSON.parse(text) : text,
    };
  }

  async status(method: string, path: string): Promise<number> {
    return (await this.send(method, path)).status;
  }

  logIn(username: string, password = `${username}-password`) {
    return this.send('POST', '/login', { username, password });
  }
}
