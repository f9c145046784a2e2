// @ts-check
/**
 * Builds after `npm ci` in a clone, and when npm installs jwtctl from git. Without the development packages
 * (`npm ci --omit=dev`) there is nothing to build with: an existing `dist` stays as it is, and a missing one is an error.
 */
import { existsSync } from 'node:fs';

if (isInstalled('esbuild')) {
  await import('./build.mjs');
} else if (!existsSync(new URL('../dist/cli/main.js', import.meta.url))) {
  console.error('jwtctl cannot be built without its development packages. Run `npm ci` without --omit=dev.');
  process.exitCode = 1;
}

/** @param {string} name of a package */
function isInstalled(name) {
  try {
    return import.meta.resolve(name) !== '';
  } catch {
    return false;
  }
}
