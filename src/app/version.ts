import { readFileSync } from 'node:fs';

/** The build defines it, because an application can bundle the library. */
declare const JWTCTL_VERSION: string | undefined;

/** The version of jwtctl. */
export function ownVersion(): string {
  return typeof JWTCTL_VERSION === 'string' ? JWTCTL_VERSION : versionInSources();
}

function versionInSources(): string {
  return JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')).version;
}
