// @ts-check
/** What starting the CLI costs: user and system CPU time of short commands, in turn with `node -e 0`. */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { ratioAtMost } from './support/report.mjs';

const BIN = fileURLToPath(new URL('../bin/jwtctl.js', import.meta.url));
const TOKEN = `${encoded({ alg: 'RS256', kid: 'k' })}.${encoded({ sub: 'alice' })}.AAAA`;

/** At most so many times `node -e 0`, on Node 20 and on Node 24. */
const COMMANDS = [
  { args: ['--version'], most: { 20: 1.2, 24: 1.2 } },
  { args: ['--help'], most: { 20: 1.5, 24: 1.6 } },
  { args: ['token', 'decode', TOKEN], most: { 20: 1.7, 24: 2.0 } },
  { args: ['keys', 'list'], most: { 20: 2.2, 24: 2.8 } },
];

/** @type {import('./support/benchmark.mjs').Benchmark} */
export const cold = {
  name: 'cold',
  summary: 'CPU time of --version, --help, token decode, and keys list (embedded), against node -e 0',
  sizes: { rounds: 15, tokens: 1, subjects: 1 },

  async run({ sizes }) {
    const home = mkdtempSync(join(tmpdir(), 'jwtctl-cold-'));
    const env = { PATH: process.env.PATH, HOME: home };
    try {
      execFileSync(process.execPath, [BIN, 'keys', 'generate'], { env, cwd: home, stdio: 'ignore' });
      const base = { name: 'node -e 0', args: ['-e', '0'] };
      const runs = COMMANDS.map(({ args }) => ({ name: args.slice(0, 2).join(' '), args: [BIN, ...args] }));
      const series = [base, ...runs].map(({ name }) => ({ name, samples: numbers(), format: milliseconds }));
      // The first round does not count: it fills the caches.
      for (let round = 0; round <= sizes.rounds; round++) {
        for (const [index, { args }] of [base, ...runs].entries()) {
          const used = cpuMilliseconds(args, { env, cwd: home });
          if (round > 0) series[index]?.samples.push(used);
        }
      }
      const [node, ...commands] = /** @type {[Series, ...Series[]]} */ (series);
      return {
        series,
        verdicts: commands.map((command, index) => ({
          ...ratioAtMost([command, node], mostOf(index)),
          name: `${command.name}, ratio`,
        })),
      };
    } finally {
      rmSync(home, { recursive: true });
    }
  },
};

/** @typedef {import('./support/report.mjs').Series & { samples: number[] }} Series */

/** @returns {number[]} */
function numbers() {
  return [];
}

/** @param {number} index of the command */
function mostOf(index) {
  const { 20: older = 0, 24: newer = 0 } = COMMANDS[index]?.most ?? {};
  return Number(process.versions.node.split('.')[0]) < 22 ? older : newer;
}

/**
 * Runs Node from start to end. Bash measures, because Node does not tell the CPU time of a child.
 *
 * @param {readonly string[]} args
 * @param {{ env: NodeJS.ProcessEnv, cwd: string }} options
 */
function cpuMilliseconds(args, options) {
  const script = 'TIMEFORMAT="%3U %3S"; { time "$@" >/dev/null 2>&1; } 2>&1';
  const words = ['-c', script, 'bash', process.execPath, ...args];
  const [user, system] = execFileSync('bash', words, { ...options, encoding: 'utf8' }).split(' ');
  return (Number(user) + Number(system)) * 1000;
}

/** @param {number} value */
function milliseconds(value) {
  return `${value.toFixed(0)} ms`;
}

/** @param {object} value */
function encoded(value) {
  return Buffer.from(JSON.stringify(value)).toString('base64url');
}
