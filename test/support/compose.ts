import { type ChildProcess, spawn } from 'node:child_process';
import { randomInt } from 'node:crypto';
import { once } from 'node:events';
import {
  closeSync,
  existsSync,
  mkdirSync,
  openSync,
  readFileSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { parse } from 'yaml';
import { ROOT } from './documents.js';
import { freePort } from './free-port.js';
import { findMysql, openServerGroup } from './servers.js';
import { BIN, type Ended, spawnProgram } from './spawned.js';

export interface ComposeService {
  image: string;
  entrypoint?: string[];
  command?: string | string[];
  environment?: Record<string, string | number>;
  /** In the short form: `source:target[:ro]`. */
  volumes?: string[];
  networks?: string[] | Record<string, { ipv4_address?: string } | null>;
  depends_on?: Record<string, { condition: 'service_healthy' | 'service_completed_successfully' }>;
  healthcheck?: { test: string[] } | { disable: true };
  [member: string]: unknown;
}

export interface ComposeFile {
  services: Record<string, ComposeService>;
  [member: string]: unknown;
}

export function readCompose(): ComposeFile {
  return parse(readFileSync(join(ROOT, 'compose.yaml'), 'utf8'), { merge: true });
}

export interface ComposeRun {
  /** Runs a one-shot service again. */
  again(service: string): Promise<Ended>;
  /** Runs a program in the environment of a service, as `docker compose exec` does. */
  exec(service: string, ...argv: string[]): Promise<Ended>;
  /** The port of `serve` on this host. */
  port: number;
  readVolume(name: string, file: string): string;
  stop(): Promise<void>;
}

/**
 * Runs the services of compose.yaml as processes of this host, in the order of their dependencies, and resolves as
 * `docker compose up --wait` does. Commands, variables, health checks, and mounted files are those of compose.yaml.
 * Different from containers: the images are the programs of this host, the addresses are in 127.0.0.0/8, mounted
 * folders are links below a folder of the service, and nothing restarts.
 */
export async function composeUp(): Promise<ComposeRun> {
  const { services } = readCompose();
  const group = openServerGroup();
  const folder = group.folder;
  const port = await freePort();
  const subnet = `127.${randomInt(2, 250)}.${randomInt(0, 250)}.`;
  const bin = group.makeFolder('bin');
  symlinkSync(BIN, join(bin, 'jwtctl'));
  // Here the account of the test takes the place of root and the groups of the images.
  writeFileSync(join(bin, 'chown'), '#!/bin/sh\nshift 2\nexec chmod -R g= "$@"\n', { mode: 0o755 });
  const running: ChildProcess[] = [];
  const started = new Map<string, Promise<void>>();

  const serviceOf = (name: string) => {
    const service = services[name];
    if (service === undefined) throw new Error(`compose.yaml has no service ${name}.`);
    return service;
  };

  /** Returns the text as it has to be on this host, for a service with this folder as its root. */
  const localized = (name: string, text: string): string => {
    const { volumes = [] } = serviceOf(name);
    const tops = new Set(volumes.map((volume) => `/${volume.split(':')[1]?.split('/')[1]}`));
    const mounted = [...tops].reduce(
      (moved, top) =>
        moved.replaceAll(new RegExp(`(?<![\\w./-])${top}(?=/|$|[\\s;)])`, 'g'), join(folder, name, top)),
      text.replaceAll('$$', '$'),
    );
    return mounted
      .replaceAll('172.28.58.', subnet)
      .replaceAll(/(?<=@|--host=)mysql\b/g, `${subnet}10`)
      .replaceAll('/opt/jwtctl/', join(ROOT, 'deploy/docker/'));
  };

  const environmentOf = (name: string): Record<string, string> => {
    const { environment = {}, image } = serviceOf(name);
    const set = Object.entries(environment).map(([key, value]) => [key, localized(name, String(value))]);
    return {
      PATH: `${bin}:${process.env.PATH}`,
      HOME: '/',
      // What the Dockerfile sets, and a port that is free here.
      ...(image === 'jwtctl' ? { JWTCTL_SERVE_HOST: '0.0.0.0', JWTCTL_SERVE_PORT: String(port) } : {}),
      ...Object.fromEntries(set),
    };
  };

  const mount = (name: string): void => {
    for (const volume of serviceOf(name).volumes ?? []) {
      const [source = '', target = ''] = volume.split(':');
      const from = source.startsWith('.') ? join(ROOT, source) : group.makeFolder(join('volumes', source));
      const at = join(folder, name, target);
      mkdirSync(dirname(at), { recursive: true });
      if (!existsSync(at)) symlinkSync(from, at);
    }
  };

  const addressOf = (name: string): string => {
    const { networks = [] } = serviceOf(name);
    const fixed = Array.isArray(networks) ? undefined : networks.stores?.ipv4_address;
    if (fixed === undefined) throw new Error(`The service ${name} has no fixed address.`);
    return localized(name, fixed);
  };

  /** Returns the command line with what the entry point of the image adds. */
  const commandOf = async (name: string): Promise<string[]> => {
    const { image, entrypoint = [], command = [] } = serviceOf(name);
    const words = (typeof command === 'string' ? command.split(/\s+/) : command).map((word) =>
      localized(name, word),
    );
    if (entrypoint.length > 0) return [...entrypoint.map((word) => localized(name, word)), ...words];
    if (image === 'jwtctl') return ['jwtctl', ...(words.length > 0 ? words : ['serve'])];
    if (words[0] === 'redis-server')
      return [...words, '--bind', addressOf(name), '--bind-source-addr', addressOf(name)];
    return words[0]?.startsWith('-') ? mysqlCommand(name, words) : words;
  };

  /** Prepares an empty data folder as the entry point of the image does. */
  const mysqlCommand = async (name: string, args: string[]): Promise<string[]> => {
    const engine = findMysql();
    const data = join(folder, name, 'var/lib/mysql');
    const own = group.makeFolder('mysql-run');
    const { MYSQL_DATABASE, MYSQL_USER, ...env } = environmentOf(name);
    const password = (variable: string) => readFileSync(env[variable] ?? '', 'utf8').trim();
    await group.run(...engine.install(data));
    const sql = [
      engine.dropAccounts,
      `CREATE USER root@'%' IDENTIFIED BY '${password('MYSQL_ROOT_PASSWORD_FILE')}';`,
      `GRANT ALL ON *.* TO root@'%' WITH GRANT OPTION;`,
      `CREATE DATABASE ${MYSQL_DATABASE};`,
      `CREATE USER ${MYSQL_USER}@'%' IDENTIFIED BY '${password('MYSQL_PASSWORD_FILE')}';`,
      `GRANT ALL ON ${MYSQL_DATABASE}.* TO ${MYSQL_USER}@'%';`,
    ];
    writeFileSync(join(own, 'init.sql'), `${sql.join('\n')}\n`, { mode: 0o600 });
    return [
      engine.program,
      ...engine.args,
      ...[`--datadir=${data}`, `--tmpdir=${own}`, `--socket=${join(own, 'socket')}`],
      ...[`--pid-file=${join(own, 'server.pid')}`, `--init-file=${join(own, 'init.sql')}`],
      ...[`--bind-address=${addressOf(name)}`, '--port=3306', '--skip-name-resolve'],
      ...args,
    ];
  };

  const logOf = (name: string): string => readFileSync(join(folder, name, 'log'), 'utf8');

  const launch = async (name: string): Promise<ChildProcess> => {
    mount(name);
    const [program = '', ...args] = await commandOf(name);
    const home = group.makeFolder(name);
    const output = openSync(join(home, 'log'), 'w');
    const data = join(home, 'data');
    // In a process group of its own, so that what a shell has started ends with the shell.
    const child = spawn(program, args, {
      cwd: existsSync(data) ? data : home,
      env: environmentOf(name),
      stdio: ['ignore', output, output],
      detached: true,
    });
    closeSync(output);
    // For the guard of the group, which passes it to kill.
    writeFileSync(join(home, 'pid'), `-${child.pid}\n`);
    running.push(child);
    return child;
  };

  const isHealthy = async (name: string): Promise<boolean> => {
    const { healthcheck } = serviceOf(name);
    if (healthcheck === undefined || !('test' in healthcheck))
      throw new Error(`${name} has no health check.`);
    const [kind, ...words] = healthcheck.test;
    const local = words.map((word) => {
      const text = localized(name, word);
      return text.includes('healthcheck.mjs') ? text : text.replaceAll('127.0.0.1', () => addressOf(name));
    });
    const [program = '', ...args] = kind === 'CMD-SHELL' ? ['/bin/sh', '-c', ...local] : local;
    const { exitCode } = await spawnProgram(program, args, { env: environmentOf(name) });
    return exitCode === 0;
  };

  const reach = async (name: string, child: ChildProcess, condition: string): Promise<void> => {
    const ended = () => child.exitCode !== null || child.signalCode !== null;
    if (condition === 'service_completed_successfully') {
      if (!ended()) await once(child, 'exit');
      if (child.exitCode !== 0) throw new Error(`${name} ended with ${child.exitCode}:\n${logOf(name)}`);
      return;
    }
    while (!(await isHealthy(name))) {
      if (ended()) throw new Error(`${name} ended with ${child.exitCode}:\n${logOf(name)}`);
      await delay(50);
    }
  };

  const conditionOf = (name: string): string | undefined =>
    Object.values(services)
      .map(({ depends_on = {} }) => depends_on[name]?.condition)
      .find((condition) => condition !== undefined);

  /** Starts a service after those that it depends on, and waits for what its dependents wait for. */
  const start = (name: string): Promise<void> => {
    const before = started.get(name);
    if (before !== undefined) return before;
    const now = (async () => {
      await Promise.all(Object.keys(serviceOf(name).depends_on ?? {}).map(start));
      const child = await launch(name);
      const { healthcheck } = serviceOf(name);
      const condition = conditionOf(name) ?? (healthcheck && 'test' in healthcheck ? 'service_healthy' : '');
      if (condition !== '') await reach(name, child, condition);
    })();
    started.set(name, now);
    return now;
  };

  const stop = async (): Promise<void> => {
    await Promise.all(
      running.map(async (child) => {
        if (child.pid === undefined) return;
        const isRunning = child.exitCode === null && child.signalCode === null;
        const ended = isRunning ? once(child, 'exit') : null;
        try {
          process.kill(-child.pid, 'SIGKILL');
        } catch {
          // The whole group has ended.
        }
        await ended;
      }),
    );
    await group.stop();
  };

  try {
    await Promise.all(Object.keys(services).map(start));
  } catch (error) {
    await stop();
    throw error;
  }
  return {
    port,
    stop,
    again: async (name) => {
      const [program = '', ...args] = await commandOf(name);
      return spawnProgram(program, args, { env: environmentOf(name) });
    },
    exec: (name, program = '', ...args) => spawnProgram(program, args, { env: environmentOf(name) }),
    readVolume: (name, file) => readFileSync(join(folder, 'volumes', name, file), 'utf8'),
  };
}
