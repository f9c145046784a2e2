import { readFileSync } from 'node:fs';

/** The version of jwtctl. */
export function ownVersion(): string {
  // As far from `src/app` as from `dist/cli`, where the build of the CLI is.
  const { version } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8'));
  return version;
}
