// @ts-check
/**
 * Makes a release, installs its package into an empty folder as a user would, and uses the CLI, the library and its types
 * from there: on this Node and on Node 24.
 */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
const bin = (/** @type {string} */ name) => join(root, 'node_modules/.bin', name);
const temporary = mkdtempSync(join(tmpdir(), 'jwtctl-package-'));

try {
  const tarball = pack();
  run(bin('publint'), ['run', tarball, '--strict'], { cwd: root });

  const consumer = installInto('consumer', tarball);
  checkTypes(consumer);
  checkUse(consumer, process.execPath);
  checkUse(consumer, installNode(24));
} finally {
  rmSync(temporary, { recursive: true, force: true });
}

/** Makes a release twice, and returns the package of the first one. */
function pack() {
  const [first = '', second = ''] = ['release', 'release-again'].map((name) => join(temporary, name));
  for (const folder of [first, second]) {
    run(process.execPath, ['scripts/release.mjs', '--out', folder], { cwd: root });
    run('sha256sum', ['--check', '--strict', 'SHA256SUMS'], { cwd: folder });
  }
  const sums = (/** @type {string} */ folder) => readFileSync(join(folder, 'SHA256SUMS'), 'utf8');
  assert.equal(sums(second), sums(first), 'Two releases of the same files differ.');
  checkSbom(join(first, `jwtctl-${version}.cdx.json`));
  console.log('release: reproducible, with checksums and an SBOM of every package that is shipped');
  return join(first, `jwtctl-${version}.tgz`);
}

/** @param {string} file */
function checkSbom(file) {
  /** @type {{ components: { name: string, licenses?: unknown[] }[] }} */
  const { components } = JSON.parse(readFileSync(file, 'utf8'));
  const names = components.map(({ name }) => name);
  // Installed with jwtctl, also needed by development packages, for one platform only, and bundled.
  for (const name of ['commander', 'cli-table3', '@libsql/linux-x64-gnu', 'zod']) {
    assert(names.includes(name), `The SBOM lacks ${name}.`);
  }
  assert(!names.includes('vitest'));
  assert.deepEqual(
    components.filter(({ licenses = [] }) => licenses.length === 0),
    [],
  );
}

/**
 * @param {string} name of a new folder
 * @param {string} specifier
 */
function installInto(name, specifier) {
  const folder = join(temporary, name);
  mkdirSync(folder);
  writeFileSync(join(folder, 'package.json'), '{ "private": true, "type": "module" }\n');
  run('npm', ['install', '--silent', '--no-audit', '--no-fund', specifier], { cwd: folder });
  return folder;
}

/**
 * The path of another Node. It comes from the package for this platform, because the package `node` only picks that one
 * in an install script.
 *
 * @param {number} major
 */
function installNode(major) {
  const name = `node-${process.platform}-${process.arch}`;
  return join(installInto(`node-${major}`, `${name}@${major}`), 'node_modules', name, 'bin/node');
}

/** @param {string} consumer */
function checkTypes(consumer) {
  const source = `
    import { createServer } from 'node:http';
    import { fastify } from 'fastify';
    import { createVerifier, type JwtctlError, openIssuer, openVerifier } from 'jwtctl';
    import { jwtctlAuth } from 'jwtctl/express';
    import { jwtctlPlugin } from 'jwtctl/fastify';
    const verifier = await openVerifier();
    const result = await verifier.verify('');
    const answer: string = result.active ? String(result.payload.sub) : result.error.code;
    await verifier.close();
    const issued = await (await openIssuer()).issue({ sub: answer });
    export const token: string = issued.token;
    export const code = (error: JwtctlError): string => error.code;
    const auth = jwtctlAuth(verifier, { cookie: 'session', onRefusal: ({ code }) => code.startsWith('ERR_') });
    export const server = createServer((req: Parameters<typeof auth>[0] & { url?: string }, res) =>
      auth(req, res, () => res.end(req.auth?.payload.sub)));
    export const app = fastify();
    app.register(jwtctlPlugin, { verifier, cookie: 'session' });
    app.get('/', async (request): Promise<string | undefined> => request.auth?.payload.sub);
    export { createVerifier };`;
  writeFileSync(join(consumer, 'use.mts'), source);
  const typeRoots = join(root, 'node_modules/@types');
  const flags = ['--strict', '--noEmit', '--target', 'es2022', '--module', 'nodenext', '--types', 'node'];
  run(bin('tsc'), [...flags, '--typeRoots', typeRoots, 'use.mts'], { cwd: consumer });
  console.log('types: a strict program that uses the library compiles');
}

/**
 * @param {string} consumer
 * @param {string} node
 */
function checkUse(consumer, node) {
  const home = mkdtempSync(join(temporary, 'home-'));
  const env = cleanEnvironment(home, node);
  /** @param {string[]} args @param {{ input?: string, status?: number }} [options] */
  const jwtctl = (args, options = {}) =>
    run(join(consumer, 'node_modules/.bin/jwtctl'), args, { cwd: consumer, env, ...options });

  assert.equal(jwtctl(['--version']).trim(), version);
  assert.match(jwtctl(['--help']), /keys.*users.*token/s);
  assert.equal(JSON.parse(jwtctl(['keys', 'generate', '--json'])).state, 'active');
  assert.equal(JSON.parse(jwtctl(['users', 'add', 'alice', '--json'])).status, 'enabled');
  const token = jwtctl(['token', 'issue', '--sub', 'alice']);
  assert.equal(JSON.parse(jwtctl(['token', 'verify', '-', '--json'], { input: token })).active, true);
  jwtctl(['token', 'revoke', '-'], { input: token });
  assert.equal(
    JSON.parse(jwtctl(['token', 'verify', '-', '--json'], { input: token, status: 1 })).active,
    false,
  );

  const script = "console.log(Object.keys(await import('jwtctl')).join(' '))";
  const names = run(node, ['--input-type=module', '-e', script], { cwd: consumer, env }).trim().split(' ');
  for (const name of ['openVerifier', 'openIssuer', 'createVerifier', 'JwtctlError']) {
    assert(names.includes(name), `The library does not export ${name}.`);
  }
  checkMiddlewares(consumer, node, env);
  console.log(`Node ${run(node, ['--version']).trim()}: the installed CLI, library and middlewares work`);
}

/**
 * The middlewares let a token pass that their verifier accepts, and refuse one that it does not.
 *
 * @param {string} consumer
 * @param {string} node
 * @param {NodeJS.ProcessEnv} env
 */
function checkMiddlewares(consumer, node, env) {
  const script = `
    import { createServer } from 'node:http';
    import { fastify } from 'fastify';
    import { jwtctlAuth } from 'jwtctl/express';
    import { jwtctlPlugin } from 'jwtctl/fastify';
    const accepted = { active: true, header: {}, payload: { sub: 'alice', jti: 'j' } };
    const refused = { active: false, error: { code: 'ERR_TOKEN_EXPIRED', message: '' }, reason: 'Token Expired' };
    const verifier = { verify: async (token) => (token === 'good' ? accepted : refused) };
    const auth = jwtctlAuth(verifier);
    const one = createServer((req, res) => auth(req, res, () => res.end(req.auth.payload.sub))).listen(0);
    const other = fastify();
    other.register(jwtctlPlugin, { verifier });
    other.get('/', async (request) => request.auth.payload.sub);
    await other.listen({ port: 0 });
    const said = [];
    for (const server of [one, other.server]) {
      for (const token of ['good', 'bad']) {
        const headers = { authorization: 'Bearer ' + token, connection: 'close' };
        const response = await fetch('http://localhost:' + server.address().port, { headers });
        said.push(response.status, await response.text());
      }
    }
    console.log(JSON.stringify(said));
    one.close();
    await other.close();`;
  const said = run(node, ['--input-type=module', '-e', script], { cwd: consumer, env });
  const expected = [200, 'alice', 401, '{"error":"Token Expired","code":"ERR_TOKEN_EXPIRED"}'];
  assert.deepEqual(JSON.parse(said), [...expected, ...expected]);
}

/**
 * @param {string} home
 * @param {string} node is also the one that the shebang of the CLI finds
 */
function cleanEnvironment(home, node) {
  const inherited = Object.entries(process.env).filter(([name]) => !/^(JWTCTL|XDG)_/.test(name));
  return {
    ...Object.fromEntries(inherited),
    HOME: home,
    XDG_CONFIG_HOME: join(home, 'config'),
    XDG_DATA_HOME: join(home, 'data'),
    XDG_STATE_HOME: join(home, 'state'),
    XDG_CACHE_HOME: join(home, 'cache'),
    PATH: [dirname(node), process.env.PATH].join(delimiter),
  };
}

/**
 * Runs a program to its end and returns its standard output.
 *
 * @param {string} program
 * @param {string[]} args
 * @param {{ cwd?: string, env?: NodeJS.ProcessEnv, input?: string, status?: number }} [options]
 */
function run(program, args, { status: expected = 0, ...options } = {}) {
  const { status, stdout, stderr, error } = spawnSync(program, args, {
    encoding: 'utf8',
    input: '',
    ...options,
  });
  if (error) throw error;
  const said = `${stdout}${stderr}`.trim();
  assert.equal(status, expected, `${[program, ...args].join(' ')} ended with ${status}:\n${said}`);
  return stdout;
}
