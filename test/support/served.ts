import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { Agent, type IncomingHttpHeaders, request } from 'node:http';
import { vi } from 'vitest';
import { parseNdjson } from './ndjson.js';
import { BIN } from './spawned.js';

/** `jwtctl serve` of the built command line, in its own process. */
export interface Served {
  port: number;
  pid: number;
  /** The log so far; under long load, only its beginning. */
  // biome-ignore lint/suspicious/noExplicitAny: a test states the shape that it expects
  lines(): any[];
  /** Resolves once it has logged this that many times. */
  logged(message: string, count?: number): Promise<void>;
  signal(signal: NodeJS.Signals): void;
  /** Resolves with its end. */
  ended: Promise<{ exitCode: number | null; signal: NodeJS.Signals | null }>;
  /** Kills it. */
  kill(): Promise<void>;
}

export async function startServed(env: Record<string, string>, ...flags: string[]): Promise<Served> {
  const child = spawn(
    process.execPath,
    [BIN, 'serve', '--port', env.JWTCTL_SERVE_PORT ?? '0', '--quiet', ...flags],
    {
      cwd: '/',
      env: { JWTCTL_SERVE_DRAIN: '1', ...env },
      stdio: ['ignore', 'ignore', 'pipe'],
    },
  );
  let text = '';
  child.stderr.setEncoding('utf8').on('data', (piece: string) => {
    if (text.length < LOG_KEPT) text += piece;
  });
  const ended = once(child, 'close').then(([exitCode, signal]) => ({ exitCode, signal }));
  const lines = () => parseNdjson(text.slice(0, text.lastIndexOf('\n') + 1));
  const logged = (message: string, count = 1) =>
    vi.waitFor(
      () => {
        if (child.exitCode !== null) throw new Error(`It ended with ${child.exitCode}: ${text}`);
        const seen = lines().filter(({ msg }) => msg.startsWith(message)).length;
        if (seen < count) throw new Error(`'${message}' was logged ${seen} times: ${text}`);
      },
      { timeout: 15_000, interval: 20 },
    );
  await logged('listening');
  return {
    port: lines().find(({ msg }) => msg === 'listening').port,
    pid: Number(child.pid),
    ...{ lines, logged, ended },
    signal: (signal) => child.kill(signal),
    kill: async () => {
      child.kill('SIGKILL');
      await ended;
    },
  };
}

/** In characters. */
const LOG_KEPT = 4_000_000;

export interface Answered {
  status: number;
  headers: IncomingHttpHeaders;
  body: string;
}

export function get(
  port: number,
  path: string,
  headers: Record<string, string> = {},
  agent: Agent = new Agent(),
): Promise<Answered> {
  return new Promise((resolve, reject) => {
    const asked = request({ host: '127.0.0.1', port, path, headers, agent }, (response) => {
      let body = '';
      response.setEncoding('utf8').on('data', (piece: string) => {
        body += piece;
      });
      response.on('end', () =>
        resolve({ status: response.statusCode ?? 0, headers: response.headers, body }),
      );
      response.on('error', reject);
    });
    asked.on('error', reject);
    asked.end();
  });
}

/** Requests without a pause over keep-alive connections, as a proxy makes them. */
export interface Traffic {
  /** The number of answers so far, by status. */
  answers: ReadonlyMap<number, number>;
  /** The errors of requests without an answer. */
  failures: readonly string[];
  /** Resolves once each connection was closed by an answer with `connection: close`, or after {@link stop}. */
  done: Promise<void>;
  stop(): void;
}

/** A connection ends with the answer that closes it, as behind a proxy that stops sending to an unready server. */
export function startTraffic(
  port: number,
  connections: number,
  headers: () => Record<string, string>,
): Traffic {
  const answers = new Map<number, number>();
  const failures: string[] = [];
  let isStopped = false;
  const drive = async () => {
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    try {
      while (!isStopped) {
        const answer = await get(port, '/verify', headers(), agent);
        answers.set(answer.status, (answers.get(answer.status) ?? 0) + 1);
        if (answer.headers.connection === 'close') return;
      }
    } catch (error) {
      failures.push(String(error));
    } finally {
      agent.destroy();
    }
  };
  const done = Promise.all(Array.from({ length: connections }, drive)).then(() => {});
  return {
    ...{ answers, failures, done },
    stop: () => {
      isStopped = true;
    },
  };
}
