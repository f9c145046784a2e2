// @ts-check
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

/** @type {typeof import('./dockerfile.d.mts').readDockerfile} */
export function readDockerfile(folder) {
  return readFileSync(join(folder, 'Dockerfile'), 'utf8')
    .replaceAll(/\\\n\s*/g, '')
    .split('\n')
    .filter((line) => line !== '' && !line.startsWith('#'))
    .map((line) => ({ keyword: line.split(' ', 1)[0] ?? '', text: line.replace(/^\w+ /, '') }));
}
