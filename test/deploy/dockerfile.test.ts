import { existsSync, readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { createRequire } from 'node:module';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { readDockerfile } from '../../scripts/dockerfile.mjs';
import { ROOT } from '../support/documents.js';
import { spawnProgram } from '../support/spawned.js';

const text = readFileSync(join(ROOT, 'Dockerfile'), 'utf8');
const instructions = readDockerfile(ROOT);

function argumentsOf(keyword: string): string[] {
  return instructions.filter((instruction) => instruction.keyword === keyword).map(({ text }) => text);
}

test('has no fault that the linter knows', () => {
  const { validate } = createRequire(import.meta.url)('dockerfile-utils');
  const faults: { message: string }[] = validate(text);
  expect(faults.map(({ message }) => message)).toEqual([]);
});

test('starts from a named release of Node.js in both stages', () => {
  expect(argumentsOf('FROM')).toEqual(['node:24-bookworm-slim AS build', 'node:24-bookworm-slim']);
});

test('runs as an account that is not root, given by its number', () => {
  expect(argumentsOf('USER').at(-1)).toMatch(/^[1-9]\d*:[1-9]\d*$/);
  expect(instructions.slice(-5).map(({ keyword }) => keyword)).toEqual([
    'USER',
    'EXPOSE',
    'HEALTHCHECK',
    'ENTRYPOINT',
    'CMD',
  ]);
});

test('copies only files that exist, and that .dockerignore lets through', () => {
  const copied = argumentsOf('COPY')
    .filter((copy) => !copy.startsWith('--from'))
    .flatMap((copy) => copy.split(' ').slice(0, -1));
  const ignored = readFileSync(join(ROOT, '.dockerignore'), 'utf8').split('\n');
  const sent = ignored.filter((line) => line.startsWith('!')).map((line) => line.slice(1));
  expect(copied.length).toBeGreaterThan(5);
  expect(copied.filter((path) => !existsSync(join(ROOT, path)))).toEqual([]);
  expect(copied.filter((path) => !sent.some((part) => path === part || path.startsWith(`${part}/`)))).toEqual(
    [],
  );
  expect(ignored).toContain('*');
});

test('installs only packages of the lock file, without their scripts', () => {
  const installing = argumentsOf('RUN').filter((run) => run.includes('npm'));
  expect(installing).toEqual([
    'npm ci --ignore-scripts',
    expect.stringContaining('npm prune --omit=dev --ignore-scripts'),
  ]);
});

test('the health check reports the status of the server', async () => {
  const statuses: Record<string, number> = { '/healthz': 200, '/readyz': 503 };
  const server = createServer((request, response) => {
    response.writeHead(statuses[request.url ?? ''] ?? 404).end();
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  const check = async (path: string) => {
    const script = join(ROOT, 'deploy/docker/healthcheck.mjs');
    const env = { JWTCTL_SERVE_PORT: String(port) };
    return (await spawnProgram(process.execPath, [script, path], { env })).exitCode;
  };
  expect([await check('/healthz'), await check('/readyz')]).toEqual([0, 1]);
  await new Promise((resolve) => server.close(resolve));
  expect(await check('/healthz')).toBe(1);
});

test('the image has every file of the package that runs', () => {
  const { files } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8'));
  const copied = argumentsOf('COPY')
    .filter((copy) => copy.startsWith('--from'))
    .join(' ');
  const documents = ['CHANGELOG.md', 'man'];
  const run = files.filter((name: string) => !name.startsWith('!') && !documents.includes(name));
  for (const file of run) expect(copied).toContain(`/opt/jwtctl/${file}`);
});
