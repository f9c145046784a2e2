// @ts-check
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, mkdirSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { promisify } from 'node:util';

const execFileAsync = promisify(execFile);
const READY = /ready (for|to accept) connections/i;
const START_TIMEOUT_MS = 60_000;

/** @type {typeof import('../servers.mjs').openServerGroup} */
export function openServerGroup() {
  const folder = mkdtempSync(join(tmpdir(), 'jwtctl-servers-'));
  const guard = startGuard(folder);
  /** @type {Array<() => Promise<void>>} */
  const stops = [];
  /** @type {Set<Promise<unknown>>} */
  const running = new Set();
  let isStopped = false;

  return {
    folder,

    makeFolder(name) {
      const home = join(folder, name);
      mkdirSync(home, { recursive: true });
      return home;
    },

    async run(program, args) {
      if (isStopped) throw stoppedError(program);
      const run = execFileAsync(program, args);
      running.add(run);
      try {
        await run;
      } finally {
        running.delete(run);
      }
    },

    async launch({ name, program, args, graceMs = 0, ready = READY }) {
      if (isStopped) throw stoppedError(name);
      const home = this.makeFolder(name);
      const log = join(home, 'log');
      const output = openSync(log, 'w');
      const child = spawn(program, args, { cwd: home, stdio: ['ignore', output, output] });
      closeSync(output);
      if (child.pid === undefined) throw (await once(child, 'error'))[0];

      const gone = once(child, 'exit');
      const pidFile = join(home, 'pid');
      writeFileSync(pidFile, `${child.pid}\n`);
      const stop = async () => {
        if (child.exitCode === null && child.signalCode === null) {
          if (graceMs > 0) {
            child.kill('SIGTERM');
            await Promise.race([gone, delay(graceMs, undefined, { ref: false })]);
          }
          child.kill('SIGKILL');
          await gone;
        }
        rmSync(pidFile, { force: true });
      };
      stops.push(stop);

      try {
        await becomesReady(child, name, log, ready);
      } catch (error) {
        await stop();
        throw error;
      }
      return { pid: child.pid, log, stop };
    },

    async stop() {
      isStopped = true;
      await Promise.allSettled([...running, ...stops.map((stop) => stop())]);
      rmSync(folder, { recursive: true, force: true });
      guard.stdin.end();
    },
  };
}

/** @param {string} name */
function stoppedError(name) {
  return new Error(`${name} is not started: its group of servers has been stopped.`);
}

/**
 * A process of its own session whose standard input closes when this process ends, however it ends. Where the folder
 * is still there then, it kills the servers that have a pid file and removes the folder; twice, because a program that
 * was preparing it may have been writing.
 *
 * @param {string} folder
 */
function startGuard(folder) {
  const script = `
    while read -r line; do :; done
    [ -d "$1" ] || exit 0
    for file in "$1"/*/pid; do
      if [ -f "$file" ]; then kill -9 "$(cat "$file")"; fi
    done
    rm -rf "$1"
    sleep 2
    rm -rf "$1"`;
  const guard = spawn('/bin/sh', ['-c', script, 'jwtctl-server-guard', folder], {
    cwd: '/',
    detached: true,
    stdio: ['pipe', 'ignore', 'ignore'],
  });
  // It must not keep this process alive.
  guard.unref();
  /** @type {import('node:net').Socket} */ (guard.stdin).unref();
  return guard;
}

/**
 * @param {import('node:child_process').ChildProcess} child
 * @param {string} name
 * @param {string} log
 * @param {RegExp} ready
 */
async function becomesReady(child, name, log, ready) {
  const deadline = Date.now() + START_TIMEOUT_MS;
  for (;;) {
    const text = readFileSync(log, 'utf8');
    if (ready.test(text)) return;
    if (child.exitCode !== null || child.signalCode !== null) {
      throw new Error(`${name} ended while starting (${child.exitCode ?? child.signalCode}):\n${tail(text)}`);
    }
    if (Date.now() > deadline)
      throw new Error(`${name} is not ready after ${START_TIMEOUT_MS} ms:\n${tail(text)}`);
    await delay(20);
  }
}

/** @param {string} text */
function tail(text) {
  return text.trimEnd().split('\n').slice(-15).join('\n');
}
