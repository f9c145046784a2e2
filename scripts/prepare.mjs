// @ts-check
/**
 * Builds after `npm ci` in a clone, and when npm installs jwtctl from git. Without the development packages
 * (`npm ci --omit=dev`) there is nothing to build with, and an existing `dist` stays as it is.
 */
try {
  import.meta.resolve('esbuild');
  await import('./build.mjs');
} catch (error) {
  if (!(error instanceof Error && 'code' in error && error.code === 'ERR_MODULE_NOT_FOUND')) throw error;
  console.error(
    'jwtctl is not built: the development packages are missing. Run `npm ci` without --omit=dev.',
  );
}
