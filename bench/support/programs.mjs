// @ts-check
import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';

/** @type {Set<import('node:child_process').ChildProcess>} */
const running = new Set();

/** Ends whatever this module has started and is still running. */
export function killPrograms() {
  for (const child of running) child.kill('SIGKILL');
}

/**
 * A program at work, which {@link killPrograms} ends, too.
 *
 * @param {string} program
 * @param {readonly string[]} args
 * @param {import('node:child_process').SpawnOptions} options
 */
export function startProgram(program, args, options) {
  const child = spawn(program, args, options);
  running.add(child);
  child.on('close', () => running.delete(child));
  return child;
}

/**
 * Runs a program from start to end.
 *
 * @param {string} program
 * @param {readonly string[]} args
 * @param {object} [options]
 * @param {NodeJS.ProcessEnv} [options.env]
 * @param {string} [options.cwd]
 * @param {'collect' | 'ignore' | number} [options.stdout] `ignore`: to /dev/null; a number: to this open file
 * @param {boolean} [options.watchMemory]
 * @returns {Promise<{ stdout: string, seconds: number, peakBytes: number }>} wall-clock time, the start included, and
 * with `watchMemory` the most memory that the program held (resident)
 * @throws where its exit code is not 0; the message holds what it said on stderr
 */
export function runProgram(program, args, { env, cwd, stdout = 'collect', watchMemory = false } = {}) {
  return new Promise((resolve, reject) => {
    const startedAt = performance.now();
    const child = startProgram(program, args, {
      ...(env === undefined ? {} : { env }),
      ...(cwd === undefined ? {} : { cwd }),
      stdio: ['ignore', stdout === 'collect' ? 'pipe' : stdout, 'pipe'],
    });
    /** @type {Buffer[]} */
    const output = [];
    /** @type {Buffer[]} */
    const diagnostics = [];
    child.stdout?.on('data', (chunk) => output.push(chunk));
    child.stderr?.on('data', (chunk) => diagnostics.push(chunk));
    const memory = watchMemory ? watchPeak(child.pid) : null;

    child.on('error', reject);
    child.on('close', (code, signal) => {
      const seconds = (performance.now() - startedAt) / 1000;
      const peakBytes = memory?.stop() ?? 0;
      if (code === 0) return resolve({ stdout: Buffer.concat(output).toString(), seconds, peakBytes });
      const words = [program, ...args].join(' ').slice(0, 200);
      reject(new Error(`${words}\nended with ${code ?? signal}: ${Buffer.concat(diagnostics)}`));
    });
  });
}

/**
 * Reads VmHWM again and again, which is the kernel's own high-water mark: what is missed is at most what grew after the
 * last look.
 *
 * @param {number | undefined} pid
 */
function watchPeak(pid) {
  let peakBytes = 0;
  const timer = setInterval(() => {
    try {
      const kib = /^VmHWM:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, 'latin1'))?.[1];
      peakBytes = Math.max(peakBytes, Number(kib ?? 0) * 1024);
    } catch {
      // It has ended: 'close' follows.
    }
  }, 10);
  return {
    stop() {
      clearInterval(timer);
      return peakBytes;
    },
  };
}
