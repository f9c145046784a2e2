// @ts-check
/**
 * Installs, builds, and plays the main job on the embedded store, in a temporary folder. It shows what the commands print,
 * with long lines wrapped at 80 columns.
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { arePackagesOutdated } from './installation.mjs';

/** The width that everything fits. */
const COLUMNS = 80;
let chapters = 0;

const root = fileURLToPath(new URL('..', import.meta.url));
const executable = join(root, 'bin/jwtctl.js');
const folder = mkdtempSync(join(tmpdir(), 'jwtctl-demo-'));
process.on('exit', () => rmSync(folder, { recursive: true, force: true }));
process.on('SIGINT', () => process.exit(130));

/** Without the user's settings, because the demo must not rotate real keys. */
const env = {
  PATH: process.env.PATH,
  HOME: folder,
  XDG_DATA_HOME: join(folder, 'data'),
  XDG_CONFIG_HOME: join(folder, 'config'),
};

if (arePackagesOutdated(root)) {
  console.log('Installing packages …');
  execFileSync('npm', ['ci', '--loglevel=error'], { cwd: root, stdio: ['ignore', 'ignore', 'inherit'] });
}
console.log('Building …');
execFileSync(process.execPath, ['scripts/build.mjs'], { cwd: root, stdio: ['ignore', 'ignore', 'inherit'] });

chapter('A key and a user');
say(
  'Nothing is configured, so jwtctl creates an embedded store (SQLite) and a master key that seals the private keys.',
);
show('keys generate --kid 2026-q4', { diagnostics: true });
show('users add alice');

chapter('Issue and verify a token');
say('The token is signed, registered, and printed.');
const first = issue('FIRST', 'token issue --sub alice --ttl 15m --claim role=admin');
say('Verification checks the signature, the claims, the registry, and the user.');
show('token verify -', { stdin: first, from: 'FIRST' });
show('cache inspect');

chapter('Rotate the signing key');
say(
  'Cron runs `jwtctl keys rotate`: it publishes a new key first and lets it sign later. Here, --now skips the wait.',
);
show('keys generate --kid 2027-q1', { quiet: true });
show('keys generate --kid 2027-q2', { quiet: true });
show('keys rotate --now');
say('New tokens carry the new kid. Tokens of the old key still verify.');
const second = issue('SECOND', 'token issue --sub alice');
show('token verify -', { stdin: first, from: 'FIRST', quiet: true });
show('keys list', { columns: 70 });

chapter('Revoke a token');
show('token revoke -', { stdin: first, from: 'FIRST' });
say('From that moment the token is refused. The other token of alice still verifies.');
show('token verify -', { stdin: first, from: 'FIRST', exitCode: 1 });
show('token verify -', { stdin: second, from: 'SECOND', quiet: true });

chapter('A key leaks');
say('The key is refused, the next key signs, and every token under it is removed.');
show('keys compromise 2027-q1 --reason leaked --yes');
show('token verify -', { stdin: second, from: 'SECOND', exitCode: 1 });

console.log(`
The demo's store is deleted. To go on:

  On an embedded store that stays:
    npm install --global --prefix ~/.local .
    export PATH=~/.local/bin:$PATH
    jwtctl keys generate
    jwtctl users add alice
    jwtctl token issue --sub alice

  On MySQL and a Redis Cluster: docs/getting-started.md
  No servers? \`npm run services\` starts temporary ones.

  Every command has --help.
`);

/** @param {string} title */
function chapter(title) {
  chapters += 1;
  console.log(`\n== ${chapters}. ${title} ${'='.repeat(Math.max(0, COLUMNS - title.length - 7))}\n`);
}

/**
 * Runs a command of jwtctl and shows it with its output.
 *
 * @param {string} line
 * @param {{ stdin?: string, from?: string, exitCode?: number, diagnostics?: boolean, quiet?: boolean, columns?: number }} [options]
 * `from`: the shell variable that holds `stdin`; `diagnostics`: show stderr, too; `quiet`: with -q; `columns`: cut the output
 */
function show(line, { stdin, from, exitCode = 0, diagnostics = false, quiet = false, columns } = {}) {
  const words = quiet ? `${line} -q` : line;
  const cut = columns === undefined ? '' : ` | cut -c1-${columns}`;
  console.log(`$ ${from === undefined ? '' : `echo "$${from}" | `}jwtctl ${words}${cut}`);
  const { stdout, stderr } = run(words, stdin, exitCode);
  const shown =
    columns === undefined ? stdout : stdout.replace(/^.*$/gm, (row) => row.slice(0, columns).trimEnd());
  process.stdout.write(diagnostics ? wrap(stderr) + shown : shown);
  if (exitCode !== 0) console.log(`(exit code ${exitCode})`);
  console.log();
}

/**
 * @param {string} name of the shell variable that keeps the token
 * @param {string} line
 */
function issue(name, line) {
  console.log(`$ ${name}=$(jwtctl ${line})`);
  const token = run(line, undefined, 0).stdout;
  console.log(`$ echo "$${name}" | cut -c1-60\n${token.slice(0, 60)}\n`);
  return token;
}

/**
 * @param {string} line
 * @param {string | undefined} stdin
 * @param {number} exitCode that is expected
 */
function run(line, stdin, exitCode) {
  const result = spawnSync(process.execPath, [executable, ...line.split(' ')], {
    cwd: folder,
    env,
    encoding: 'utf8',
    ...(stdin === undefined ? {} : { input: stdin }),
  });
  if (result.status === exitCode) return result;
  console.error(`${result.stderr}\nExpected exit code ${exitCode}, got ${result.status}.`);
  process.exit(1);
}

/** @param {string} text */
function say(text) {
  console.log(wrap(text, '# '));
}

/**
 * Breaks lines between words.
 *
 * @param {string} text
 * @param {string} [prefix] of each line
 */
function wrap(text, prefix = '') {
  const fits = new RegExp(`(.{1,${COLUMNS - prefix.length}})( +|$)`, 'gm');
  return text.replace(fits, `${prefix}$1\n`).replace(/\n+$|\n(?=\n)/g, prefix === '' ? '\n' : '');
}
