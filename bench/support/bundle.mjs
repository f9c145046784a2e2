// @ts-check
import { mkdirSync } from 'node:fs';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';
import { pageLoader, pageModule } from '../../scripts/page.mjs';

const root = fileURLToPath(new URL('../..', import.meta.url));

/**
 * Bundles a program that imports the product's sources. The bundle is below `node_modules`, so it finds its packages.
 *
 * @param {string} entry
 * @returns {Promise<string>} the bundle's file
 */
export async function bundle(entry) {
  const folder = join(root, 'node_modules/.cache/jwtctl-bench');
  mkdirSync(folder, { recursive: true });
  const outfile = join(folder, basename(entry));
  await build({
    absWorkingDir: root,
    entryPoints: [entry],
    outfile,
    bundle: true,
    packages: 'external',
    platform: 'node',
    target: 'node20',
    format: 'esm',
    loader: { '.lua': 'text' },
    plugins: [pageLoader(await pageModule())],
    define: { JWTCTL_VERSION: '"0.0.0"' },
  });
  return outfile;
}
