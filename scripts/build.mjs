// @ts-check
/**
 * Builds `dist`: the CLI as one file, the library as ES modules, the library's types, and the licences of what is bundled.
 *
 * Many small files cost more to load than to run. So the CLI has all packages in it. In the library, `dependencies` stay
 * imports, and what `src` imports from `devDependencies` is bundled.
 */
import { spawnSync } from 'node:child_process';
import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, relative, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';
import { bundledLicences } from './bundled-licences.mjs';
import { bundleCli } from './cli-bundle.mjs';
import { pageLoader, pageModule } from './page.mjs';

const root = fileURLToPath(new URL('..', import.meta.url));
const dist = join(root, 'dist');
const tsc = join(root, 'node_modules/.bin/tsc');
const { dependencies, version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));

try {
  await buildDist();
} catch (error) {
  // Where the fault lies in the sources, a stack trace of this script says nothing.
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 1;
}

async function buildDist() {
  mkdirSync(dist, { recursive: true });
  const before = filesBelow(dist);
  const page = await pageModule();
  /** @type {import('esbuild').BuildOptions} */
  const options = {
    absWorkingDir: root,
    bundle: true,
    platform: 'node',
    target: 'node20',
    loader: { '.lua': 'text' },
    plugins: [pageLoader(page)],
    define: { JWTCTL_VERSION: JSON.stringify(version) },
    legalComments: 'none',
    logLevel: 'silent',
  };
  const cli = await bundleCli(root, options);
  const bundle = await build({
    ...options,
    entryPoints: ['src/index.ts', 'src/express.ts', 'src/fastify.ts'],
    outdir: 'dist',
    splitting: true,
    chunkNames: 'chunks/[name]-[hash]',
    format: 'esm',
    external: Object.keys(dependencies),
    metafile: true,
    write: false,
  });
  /** @type {Array<[name: string, contents: string | Uint8Array]>} named within `dist` */
  const modules = bundle.outputFiles.map(({ path, contents }) => [relative(dist, path), contents]);
  const isChunk = (/** @type {[string, unknown]} */ [name]) => name.startsWith('chunks/');

  publish(
    new Map([
      ...compileTypes(),
      ['THIRD_PARTY_LICENSES.txt', bundledLicences(root, [cli.metafile, bundle.metafile, page.metafile])],
      ['cli/main.js', cli.text],
      // Entry points come last, so that none names a chunk that is not there yet.
      ...modules.filter(isChunk),
      ...modules.filter((module) => !isChunk(module)),
    ]),
    before,
  );
  warmCli();
}

/** Fills the code cache of this Node. A CLI without one is slower, so a fault does not matter. */
function warmCli() {
  const home = mkdtempSync(join(tmpdir(), 'jwtctl-warm-'));
  const env = { PATH: process.env.PATH, HOME: home };
  spawnSync(process.execPath, [join(root, 'scripts/warm-cli.mjs')], { cwd: home, env, stdio: 'ignore' });
  rmSync(home, { recursive: true, force: true });
}

/** @returns {Array<[string, string | Uint8Array]>} */
function compileTypes() {
  const folder = mkdtempSync(join(tmpdir(), 'jwtctl-types-'));
  try {
    const { status } = spawnSync(tsc, ['-p', 'tsconfig.types.json', '--outDir', folder], {
      cwd: root,
      stdio: 'inherit',
    });
    if (status !== 0) throw new Error('The types of the library do not compile.');
    return filesBelow(folder).map((path) => [
      join('types', relative(folder, path)),
      readFileSync(path, 'utf8'),
    ]);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/**
 * Replaces file by file, each by a rename, and last removes what was there before and is no longer part of the build.
 * A CLI that starts meanwhile finds whole files, and where nothing has changed the same ones; another build that runs
 * meanwhile keeps its own.
 *
 * @param {Map<string, string | Uint8Array>} files
 * @param {string[]} before
 */
function publish(files, before) {
  for (const [name, contents] of files) {
    const path = join(dist, name);
    const unfinished = `${path}.${process.pid}`;
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(unfinished, contents);
    renameSync(unfinished, path);
  }
  for (const path of before) {
    if (!files.has(relative(dist, path))) rmSync(path, { force: true });
  }
}

/** @param {string} folder */
function filesBelow(folder) {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => resolve(entry.parentPath, entry.name));
}
