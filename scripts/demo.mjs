// @ts-check
/**
 * Installs, builds, and plays the main job on the embedded default, in a folder that is thrown away. Everything it shows
 * is what the commands really print.
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { arePackagesOutdated } from './installation.mjs';

const root = fileURLToPath(new URL('..', import.meta.url));
const executable = join(root, 'bin/jwtctl.js');
const folder = mkdtempSync(join(tmpdir(), 'jwtctl-demo-'));
process.on('exit', () => rmSync(folder, { recursive: true, force: true }));
process.on('SIGINT', () => process.exit(130));

/** Nothing of the user's own settings: a demonstration must not rotate real keys. */
const env = {
  PATH: process.env.PATH,
  HOME: folder,
  XDG_DATA_HOME: join(folder, 'data'),
  XDG_CONFIG_HOME: join(folder, 'config'),
};

if (arePackagesOutdated(root)) {
  say('Installing packages …');
  execFileSync('npm', ['ci', '--loglevel=error'], { cwd: root, stdio: ['ignore', 'ignore', 'inherit'] });
}
say('Building …');
execFileSync(process.execPath, ['scripts/build.mjs'], { cwd: root, stdio: ['ignore', 'ignore', 'inherit'] });

say('A key pair. Nothing is configured, so jwtctl makes an embedded store, and seals the private key in it.');
show('keys generate', { diagnostics: true });

say('A user, and a token for her: signed, registered, printed.');
show('users add alice');
const first = issue('FIRST', 'token issue --sub alice --ttl 15m --claim role=admin');

say('Decoding reads without checking. Verifying checks signature, claims, registry and user.');
show('token decode -', { stdin: first, from: 'FIRST' });
show('token verify -', { stdin: first, from: 'FIRST' });

say('What is live now?');
show('cache inspect');

say(
  'Another key takes over. (--now: at once. From cron, plain `keys rotate` publishes a key first and lets it sign later.)',
);
show('keys rotate --now', { diagnostics: true });

say('The token from before still verifies; a new one carries the new kid.');
show('token verify -', { stdin: first, from: 'FIRST' });
const second = issue('SECOND', 'token issue --sub alice');
show('token decode -', { stdin: second, from: 'SECOND' });
show('keys list');

say('The first token is revoked, and refused from that moment on. The second one is not touched.');
show('token revoke -', { stdin: first, from: 'FIRST' });
show('token verify -', { stdin: first, from: 'FIRST', exitCode: 1 });
show('token list --sub alice');

say('A flush forgets every entry: whatever is not registered is refused.');
show('cache flush --all --yes');
show('token verify -', { stdin: second, from: 'SECOND', exitCode: 1 });

say('A key leaks: it is refused at once, the next one signs, and nothing that it signed is left.');
const third = issue('THIRD', 'token issue --sub alice');
const leaked = run('keys list --state active -q', undefined, 0).stdout.trim();
show(`keys compromise ${leaked} --reason leaked`);
show('token verify -', { stdin: third, from: 'THIRD', exitCode: 1 });

console.log(`
That was the whole mechanism, on one SQLite file that is gone now. How to go on:

  Embedded, to keep:
    npm link                          # makes \`jwtctl\` a command
    jwtctl keys generate
    jwtctl users add alice
    jwtctl token issue --sub alice

  With MySQL (or MariaDB) and a Redis Cluster:
    export JWTCTL_MYSQL_URL=mysql://jwtctl@db.example.com/jwtctl
    export JWTCTL_MYSQL_PASSWORD_FILE=/run/secrets/jwtctl-mysql
    export JWTCTL_REDIS_NODES=10.0.0.1:6379,10.0.0.2:6379,10.0.0.3:6379
    jwtctl db migrate
    jwtctl keys generate
  To try that without servers of your own: \`npm run services\` starts throwaway ones and prints the variables.

  Every command has --help; README.md tells the rest.
`);

/**
 * Runs a command line of jwtctl and shows it with what it prints.
 *
 * @param {string} line
 * @param {{ stdin?: string, from?: string, exitCode?: number, diagnostics?: boolean }} [options] `diagnostics`: show stderr too
 */
function show(line, { stdin, from, exitCode = 0, diagnostics = false } = {}) {
  console.log(`$ ${from === undefined ? '' : `echo "$${from}" | `}jwtctl ${line}`);
  const result = run(line, stdin, exitCode);
  process.stdout.write(diagnostics ? result.stderr + result.stdout : result.stdout);
  if (exitCode !== 0) console.log(`(exit code ${exitCode})`);
  console.log();
}

/**
 * @param {string} name of the variable that a shell would keep the token in
 * @param {string} line
 */
function issue(name, line) {
  console.log(`$ ${name}=$(jwtctl ${line})`);
  const token = run(line, undefined, 0).stdout;
  console.log(`$ echo "$${name}"\n${token}`);
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
  console.log(`# ${text}`);
}
