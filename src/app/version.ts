import { existsSync, readFileSync } from 'node:fs';

/** The version of jwtctl. */
export function ownVersion(): string {
  // `src/app`, `dist/cli`, and `dist/chunks` are two folders below the file, and `dist/index.js` is one.
  const file = PLACES.map((place) => new URL(place, import.meta.url)).find((url) => existsSync(url));
  if (file === undefined) return 'unknown';
  return JSON.parse(readFileSync(file, 'utf8')).version;
}

const PLACES = ['../package.json', '../../package.json'];
