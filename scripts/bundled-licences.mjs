// @ts-check
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

/**
 * Name, version and licence text of every package that has code in one of the bundles.
 *
 * @param {string} root of the project; the metafiles' paths are relative to it
 * @param {ReadonlyArray<import('esbuild').Metafile>} metafiles
 */
export function bundledLicences(root, metafiles) {
  const outputs = metafiles.flatMap((metafile) => Object.values(metafile.outputs));
  const inputs = outputs.flatMap(({ inputs }) => Object.keys(inputs));
  const folders = new Set(inputs.map(packageFolder).filter((folder) => folder !== null));
  return [...folders]
    .sort()
    .map((folder) => licence(join(root, folder)))
    .join(`\n${'-'.repeat(80)}\n\n`);
}

/**
 * `node_modules/zod` for `node_modules/zod/v4/mini/index.js`; null for a file of our own.
 *
 * @param {string} input
 */
export function packageFolder(input) {
  return /^(?:.*\/)?node_modules\/(?:@[^/]+\/)?[^/]+/.exec(input)?.[0] ?? null;
}

/** @param {string} folder */
function licence(folder) {
  const { name, version, license, author } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'));
  const file = readdirSync(folder).find((entry) => /^(licen[cs]e|copying)/i.test(entry));
  const text =
    file === undefined ? stated(name, license, author) : readFileSync(join(folder, file), 'utf8').trim();
  return `${name} ${version}\n\n${text}\n`;
}

/**
 * For a package that has no licence file.
 *
 * @param {string} name
 * @param {unknown} license
 * @param {unknown} author
 */
function stated(name, license, author) {
  if (typeof license !== 'string') throw new Error(`${name} is bundled and states no licence.`);
  return typeof author === 'string' ? `License: ${license}\nAuthor: ${author}` : `License: ${license}`;
}
