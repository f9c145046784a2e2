// @ts-check
/**
 * Makes the files of a release, the same ones from the same commit with the same Node.js and npm:
 *
 *   npm run release [-- --out FOLDER]     jwtctl-VERSION.tgz, its SBOM (CycloneDX), and SHA256SUMS; default: release
 */
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

/**
 * @typedef {{ 'bom-ref': string, name: string, version: string, licenses?: { license?: { id?: string, name?: string }, expression?: string }[] }} Component
 * @typedef {{ ref: string, dependsOn: string[] }} Dependency
 * @typedef {{ serialNumber: string, metadata: { timestamp: string, component: Component }, components: Component[], dependencies: Dependency[] }} Sbom
 */

const root = fileURLToPath(new URL('..', import.meta.url));
const { name, version, dependencies } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
const { values: flags } = parseArgs({ options: { out: { type: 'string', default: 'release' } } });
const folder = resolve(root, flags.out);

rmSync(folder, { recursive: true, force: true });
mkdirSync(folder, { recursive: true });
run(process.execPath, ['scripts/build.mjs']);
const tarball = pack();
const bom = `${name}-${version}.cdx.json`;
const components = writeSbom(join(folder, bom), digest(tarball));
const sums = [tarball, bom].map((file) => `${digest(file)}  ${file}\n`).join('');
writeFileSync(join(folder, 'SHA256SUMS'), sums);
process.stdout.write(`\n${licences(components)}\n${sums}`);

/** Packs what was built, lists the contents, and returns the name of the file. */
function pack() {
  // Without the scripts, because `prepare` would build again.
  const args = ['pack', '--json', '--ignore-scripts', '--pack-destination', folder];
  const [packed] = /** @type {{ filename: string, files: { path: string, size: number }[] }[]} */ (
    JSON.parse(run('npm', args))
  );
  if (packed === undefined) throw new Error('npm pack made no file.');
  for (const { path, size } of packed.files) console.log(`${String(size).padStart(8)}  ${path}`);
  return packed.filename;
}

/**
 * Writes the SBOM of what users get: the packages that npm installs with jwtctl, and those in the bundle.
 * `npm sbom --omit dev` leaves out a package that a development package also needs, so this follows the dependencies
 * itself (npm 11.19).
 *
 * @param {string} file
 * @param {string} tarballDigest
 */
function writeSbom(file, tarballDigest) {
  /** @type {Sbom} */
  const sbom = JSON.parse(run('npm', ['sbom', '--sbom-format', 'cyclonedx', '--package-lock-only']));
  const own = `${name}@${version}`;
  const edges = new Map(sbom.dependencies.map(({ ref, dependsOn }) => [ref, dependsOn]));
  const direct = (edges.get(own) ?? []).filter((ref) => ref.replace(/@[^@]+$/, '') in dependencies);
  const missing = Object.keys(dependencies).filter(
    (wanted) => !direct.some((ref) => ref.startsWith(`${wanted}@`)),
  );
  if (missing.length > 0) throw new Error(`npm sbom does not list ${missing.join(', ')}.`);

  const included = new Set();
  const waiting = [...direct, ...bundled()];
  for (let ref = waiting.pop(); ref !== undefined; ref = waiting.pop()) {
    if (included.has(ref)) continue;
    included.add(ref);
    waiting.push(...(edges.get(ref) ?? []));
  }
  sbom.components = sbom.components.filter((component) => included.has(component['bom-ref']));
  sbom.dependencies = [
    { ref: own, dependsOn: [...direct, ...bundled()].sort() },
    ...sbom.dependencies.filter(({ ref }) => included.has(ref)),
  ];
  // npm takes the name of the folder, a random number, and the time of this run.
  sbom.metadata.component.name = name;
  sbom.metadata.timestamp = new Date(sourceDate() * 1000).toISOString();
  sbom.serialNumber = `urn:uuid:${uuidOf(tarballDigest)}`;
  writeFileSync(file, `${JSON.stringify(sbom, null, 2)}\n`);
  return sbom.components;
}

/** The packages whose code is in `dist`, as `name@version`. */
function bundled() {
  const licences = readFileSync(join(root, 'dist/THIRD_PARTY_LICENSES.txt'), 'utf8');
  return licences
    .split(`\n${'-'.repeat(80)}\n\n`)
    .map((text) => (text.split('\n', 1)[0] ?? '').replace(' ', '@'));
}

/** @returns the time of the release in seconds: SOURCE_DATE_EPOCH, or the time of the commit */
function sourceDate() {
  return Number(process.env.SOURCE_DATE_EPOCH ?? run('git', ['log', '-1', '--format=%ct']));
}

/** @param {string} digest in hexadecimal; becomes a UUID of version 8 (RFC 9562 §5.8) */
function uuidOf(digest) {
  return digest.replace(/^(.{8})(.{4}).(.{3}).(.{3})(.{12}).*$/, '$1-$2-8$3-8$4-$5');
}

/** @param {string} file in the folder of the release */
function digest(file) {
  return createHash('sha256')
    .update(readFileSync(join(folder, file)))
    .digest('hex');
}

/**
 * @param {Component[]} components
 * @returns one line for each licence
 */
function licences(components) {
  /** @type {Map<string, string[]>} */
  const byLicence = new Map();
  for (const { name, licenses = [] } of components) {
    const licence = licenses
      .map(({ license, expression }) => expression ?? license?.id ?? license?.name)
      .join(', ');
    byLicence.set(licence, [...(byLicence.get(licence) ?? []), name]);
  }
  return [...byLicence].map(([licence, names]) => `${licence || 'unknown'}: ${names.join(' ')}\n`).join('');
}

/**
 * @param {string} program
 * @param {string[]} args
 */
function run(program, args) {
  return execFileSync(program, args, { cwd: root, encoding: 'utf8', maxBuffer: 2 ** 26 });
}
