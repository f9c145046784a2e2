// @ts-check
/**
 * Runs common commands of the built CLI in one process, so that its code cache contains what they need. Their store is an
 * embedded one in the home folder.
 */
import { Readable, Writable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import bundles from '../bin/bundle.js';

const bundle = bundles.openBundle(fileURLToPath(new URL('../dist/cli', import.meta.url)));
const { main } = bundle.load('./main.js');

/** @param {string[]} argv */
async function run(...argv) {
  /** @type {string[]} */
  const printed = [];
  const stream = () => new Writable({ write: (chunk, _, done) => done(void printed.push(String(chunk))) });
  const { env } = process;
  await main(argv, { stdin: Readable.from([]), stdout: stream(), stderr: stream(), env, cwd: process.cwd() });
  return printed.join('').trim();
}

await run('--help');
await run('keys', 'generate', '--quiet');
await run('keys', 'list');
await run('keys', 'list', '--json');
await run('users', 'add', 'alice', '--quiet');
const token = await run('token', 'issue', '--sub', 'alice');
await run('token', 'decode', token);
await run('token', 'verify', token, '--json');
await run('keys', 'rotate');
bundle.save();
