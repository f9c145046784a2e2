// @ts-check
/**
 * Runs the steps of the Dockerfile without Docker, each stage in a chroot over the root folder of this host, and then
 * the image: as its account, with a root folder that nothing can change. Needs Linux and root; nothing is left behind.
 *
 *   node scripts/check-image.mjs [--base FOLDER]    a root folder with Node.js to use in place of this host's
 */
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmdirSync, statSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { readDockerfile } from './dockerfile.mjs';

const project = fileURLToPath(new URL('..', import.meta.url));
const { values: flags } = parseArgs({
  options: { base: { type: 'string', default: '/' }, inside: { type: 'string' } },
});

if (process.platform !== 'linux' || process.geteuid?.() !== 0) {
  console.log('skipped: the steps of the Dockerfile need Linux and root');
} else if (flags.inside === undefined) {
  const folder = mkdtempSync(join(tmpdir(), 'jwtctl-image-'));
  // The mounts go with their namespace.
  const again = [process.execPath, process.argv[1] ?? '', '--base', flags.base, '--inside', folder];
  const { status } = spawnSync('unshare', ['--mount', ...again], { stdio: 'inherit' });
  rmdirSync(folder);
  process.exitCode = status ?? 1;
} else {
  run('mount', ['-t', 'tmpfs', 'tmpfs', flags.inside]);
  const image = build(flags.inside, resolve(flags.base));
  await check(image);
}

/**
 * @typedef {object} Stage
 * @property {string} root
 * @property {string} workdir
 * @property {string} user
 * @property {Record<string, string>} env
 * @property {Record<string, string[]>} words of HEALTHCHECK, ENTRYPOINT and CMD
 */

/**
 * @param {string} folder
 * @param {string} base
 * @returns the last stage
 */
function build(folder, base) {
  /** @type {Map<string, Stage>} */
  const stages = new Map();
  let stage = /** @type {Stage | undefined} */ (undefined);
  for (const { keyword, text } of readDockerfile(project)) {
    console.log(`${keyword} ${text}`);
    if (keyword === 'FROM') {
      stage = openStage(join(folder, String(stages.size)), base);
      stages.set(/ AS (\w+)$/.exec(text)?.[1] ?? '', stage);
    } else if (stage !== undefined) {
      perform(stage, keyword, text, stages);
    }
  }
  assert(stage !== undefined);
  return stage;
}

/**
 * @param {string} folder
 * @param {string} base
 * @returns {Stage}
 */
function openStage(folder, base) {
  const [root, upper, work] = ['root', 'upper', 'work'].map((name) => join(folder, name));
  assert(root !== undefined);
  for (const path of [root, upper, work]) mkdirSync(String(path), { recursive: true });
  const layers = `lowerdir=${base},upperdir=${upper},workdir=${work}`;
  run('mount', ['-t', 'overlay', '-o', layers, 'overlay', root]);
  run('mount', ['--rbind', '/dev', join(root, 'dev')]);
  run('mount', ['-t', 'proc', 'proc', join(root, 'proc')]);
  return { root, workdir: '/', user: '0:0', env: {}, words: {} };
}

/**
 * @param {Stage} stage
 * @param {string} keyword
 * @param {string} text
 * @param {Map<string, Stage>} stages
 */
function perform(stage, keyword, text, stages) {
  if (keyword === 'RUN') {
    run('chroot', [stage.root, 'sh', '-ec', `cd ${stage.workdir}\n${text}`], {
      ...process.env,
      ...stage.env,
    });
  } else if (keyword === 'COPY') {
    copy(stage, text, stages);
  } else if (keyword === 'WORKDIR') {
    stage.workdir = resolve(stage.workdir, text);
    mkdirSync(join(stage.root, stage.workdir), { recursive: true });
  } else if (keyword === 'ENV') {
    for (const [, name, value] of text.matchAll(/(\w+)=(\S+)/g)) stage.env[String(name)] = String(value);
  } else if (keyword === 'USER') {
    stage.user = text;
  } else if (/^(HEALTHCHECK|ENTRYPOINT|CMD)$/.test(keyword)) {
    stage.words[keyword] = JSON.parse(text.slice(text.indexOf('[')));
  } else {
    assert(/^(LABEL|EXPOSE)$/.test(keyword), `This script does not know ${keyword}.`);
  }
}

/**
 * @param {Stage} stage
 * @param {string} text
 * @param {Map<string, Stage>} stages
 */
function copy(stage, text, stages) {
  const words = text.split(' ');
  const from = words[0]?.startsWith('--from=') ? words.shift()?.slice('--from='.length) : undefined;
  const target = words.pop() ?? '';
  const source = from === undefined ? project : String(stages.get(from)?.root);
  const into = join(stage.root, resolve(stage.workdir, target));
  for (const word of words) {
    const path = join(source, word);
    const isFolder = statSync(path).isDirectory();
    const name = isFolder || !target.endsWith('/') ? into : join(into, String(word.split('/').at(-1)));
    cpSync(path, name, { recursive: true, verbatimSymlinks: true });
  }
}

/** @param {Stage} image */
async function check(image) {
  const { version } = JSON.parse(readFileSync(join(project, 'package.json'), 'utf8'));
  const port = await freePort();
  const data = join(image.root, 'tmp');
  run('mount', ['-t', 'tmpfs', '-o', 'mode=1777', 'tmpfs', data]);
  run('mount', ['-o', 'remount,ro', image.root]);
  const env = {
    ...image.env,
    PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
    HOME: '/tmp',
    JWTCTL_SERVE_PORT: String(port),
    JWTCTL_SERVE_DRAIN: '1',
  };
  const { ENTRYPOINT = [], CMD = [], HEALTHCHECK = [] } = image.words;
  const inside = [`--userspec=${image.user}`, image.root];
  const jwtctl = (/** @type {string[]} */ ...args) => run('chroot', [...inside, ...ENTRYPOINT, ...args], env);

  assert.equal(jwtctl('--version').trim(), version);
  assert.equal(JSON.parse(jwtctl('keys', 'generate', '--json')).state, 'active');
  jwtctl('users', 'add', 'alice');
  const token = jwtctl('token', 'issue', '--sub', 'alice').trim();
  const writable = run('chroot', [...inside, 'find', '/opt/jwtctl', '-not', '-type', 'l', '-writable'], env);
  assert.equal(writable, '', 'The account can change files of the image.');
  const packages = run('chroot', [...inside, 'ls', '/opt/jwtctl/node_modules'], env).split('\n');
  assert(packages.includes('commander') && !packages.includes('esbuild'));

  const isHealthy = () => spawnSync('chroot', [...inside, ...HEALTHCHECK], { env }).status === 0;
  assert(!isHealthy());
  const server = spawn('chroot', [...inside, ...ENTRYPOINT, ...CMD], { env, stdio: 'inherit' });
  const ended = once(server, 'exit');
  const deadline = Date.now() + 20_000;
  while (!isHealthy()) {
    assert(Date.now() < deadline && server.exitCode === null, 'The server does not become healthy.');
    await delay(100);
  }
  const headers = { authorization: `Bearer ${token}` };
  assert.equal((await fetch(`http://127.0.0.1:${port}/verify`, { headers })).status, 200);
  server.kill('SIGTERM');
  assert.deepEqual(await ended, [0, null]);
  console.log('The steps of the Dockerfile make an image that works.');
}

async function freePort() {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = /** @type {import('node:net').AddressInfo} */ (server.address());
  server.close();
  return port;
}

/**
 * Runs a program to its end and returns its standard output.
 *
 * @param {string} program
 * @param {string[]} args
 * @param {NodeJS.ProcessEnv} [env]
 */
function run(program, args, env = process.env) {
  const { status, stdout, stderr, error } = spawnSync(program, args, { encoding: 'utf8', env });
  if (error) throw error;
  assert.equal(status, 0, `${[program, ...args].join(' ')} ended with ${status}:\n${stdout}${stderr}`);
  return stdout;
}
