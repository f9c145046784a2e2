// @ts-check
import { randomBytes } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { createConnection } from 'mysql2/promise';
import { runProgram, startProgram } from './programs.mjs';

const executable = fileURLToPath(new URL('../../bin/jwtctl.js', import.meta.url));

/**
 * The built program as its users run it, and the database behind it.
 *
 * @typedef {object} Product
 * @property {(args: readonly string[], options?: RunOptions) => ReturnType<typeof runProgram>} run
 * @property {(file: string, args: readonly string[]) => Promise<any>} runModule runs a program with the product's settings;
 * resolves with the JSON that it prints
 * @property {NodeJS.ProcessEnv} env its settings
 * @property {(args: readonly string[], settings?: NodeJS.ProcessEnv) => import('node:child_process').ChildProcess} start a
 * program that goes on; its stderr is a pipe
 * @property {readonly [import('./tokens.mjs').Key, ...import('./tokens.mjs').Key[]]} keys the first one signs
 * @property {(sql: string, values?: unknown[]) => Promise<unknown>} query
 * @property {() => Promise<void>} close
 *
 * @typedef {Pick<NonNullable<Parameters<typeof runProgram>[2]>, 'stdout' | 'watchMemory'>} RunOptions
 */

/**
 * @param {object} place
 * @param {string} place.folder
 * @param {string} place.mysqlUrl an account that may do everything, and a database
 * @param {readonly string[]} place.redisNodes
 * @returns {Promise<Product>}
 */
export async function installProduct({ folder, mysqlUrl, redisNodes }) {
  const masterKey = join(folder, 'master.key');
  writeFileSync(masterKey, `${randomBytes(32).toString('base64')}\n`, { mode: 0o600 });
  // Nothing of the user's own settings.
  const env = {
    PATH: process.env.PATH,
    HOME: folder,
    JWTCTL_MYSQL_URL: mysqlUrl,
    JWTCTL_REDIS_NODES: redisNodes.join(','),
    JWTCTL_MASTER_KEY_FILE: masterKey,
  };
  /** @type {Product['run']} */
  const run = (args, options = {}) =>
    runProgram(process.execPath, [executable, ...args], { env, cwd: folder, ...options });
  /** @type {Product['start']} */
  const start = (args, settings = {}) =>
    startProgram(process.execPath, [executable, ...args], {
      env: { ...env, ...settings },
      cwd: folder,
      stdio: ['ignore', 'ignore', 'pipe'],
    });

  /** @type {Product['runModule']} */
  const runModule = async (file, args) => {
    const { stdout } = await runProgram(process.execPath, [file, ...args], { env, cwd: folder });
    return JSON.parse(stdout);
  };

  await run(['db', 'migrate']);
  await run(['keys', 'generate', '--count', '4']);
  const database = await createConnection(mysqlUrl);
  const query = async (/** @type {string} */ sql, /** @type {unknown[]} */ values = []) => {
    const [rows] = await database.query(sql, values);
    return rows;
  };
  const rows = /** @type {Array<{ id: number, kid: Buffer }>} */ (
    await query('SELECT id, kid FROM keystore ORDER BY state, position')
  );
  const [active, ...others] = rows.map(({ id, kid }) => ({ id: Number(id), kid: kid.toString() }));
  if (active === undefined) throw new Error('There is no key.');
  return { run, start, runModule, env, keys: [active, ...others], query, close: () => database.end() };
}

/**
 * What a command printed with `--json`.
 *
 * @param {{ stdout: string }} run
 * @returns {any}
 */
export function printed({ stdout }) {
  return JSON.parse(stdout);
}
