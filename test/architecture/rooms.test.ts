import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { type Import, readImports } from './source-graph.js';

const imports = readImports().filter(({ isVendor, to }) => !isVendor && !to.startsWith('node:'));

/** In order: a room imports only itself and rooms before it. */
const DOMAIN = [
  'shared',
  'batch',
  'model',
  'jose',
  'ports',
  'audit-log',
  'event-stream',
  'recovery',
  'security-log',
  'fleet',
  'registry',
  'inspection',
  'users',
  'key-files',
  'keys',
  'verification',
  'tokens',
  'doctor',
];
const REDIS = [
  'keyspace',
  'wire',
  'cluster',
  'session',
  'scripts',
  'subject',
  'mark-store',
  'verifier-roster',
  'walk',
  'verifier',
  'token-registry',
];
const CONFIG = [
  'addresses',
  'structure-problem',
  'serve-clients',
  'serve-headers',
  'serve-policies',
  'setting-kinds',
  'nested-settings',
  'declarations',
  'settings',
  'standard-paths',
  'setting-values',
  'sources',
  'secrets',
  'check-settings',
  'load-config',
  'edit-config',
  'show-config',
];

test.each([
  ['domain', DOMAIN],
  ['adapters/redis', REDIS],
  ['config', CONFIG],
])('each room of %s imports only rooms before it', (base, rooms) => {
  expect(climbing(base, rooms)).toEqual([]);
});

test.each([
  ['domain', DOMAIN],
  ['adapters/redis', REDIS],
])('docs/architecture.md has the rooms of %s in this order', (_, rooms) => {
  const order = rooms.map((room) => `\`${room}(\\.ts)?\``).join('\\s+→\\s+');
  expect(readFileSync(new URL('../../docs/architecture.md', import.meta.url), 'utf8')).toMatch(
    new RegExp(order),
  );
});

const SRC = fileURLToPath(new URL('../../src', import.meta.url));

test.each(['domain', 'adapters/redis', 'config'])(
  'each room of %s has a README with what it owns and imports',
  (base) => {
    const rooms = readdirSync(join(SRC, base), { withFileTypes: true }).filter((entry) =>
      entry.isDirectory(),
    );
    expect(rooms.length).toBeGreaterThan(2);
    const folders = [base, ...rooms.map(({ name }) => `${base}/${name}`)];
    expect(folders.filter((folder) => !existsSync(join(SRC, folder, 'README.md')))).toEqual([]);
  },
);

test('has no import cycle, types included', () => {
  expect(circles(imports)).toEqual([]);
});

test('finds an import cycle', () => {
  const line = (from: string, to: string): Import => ({ from, to, kind: 'type', isVendor: false });
  expect(circles([line('a', 'b'), line('b', 'c'), line('c', 'a'), line('c', 'd')])).toEqual([
    ['a', 'b', 'c'],
  ]);
});

function climbing(base: string, rooms: readonly string[]): string[] {
  const floorOf = (path: string) => rooms.indexOf(path.slice(base.length + 1).replace(/(\.ts|\/.*)$/, ''));
  return imports
    .filter(({ from, to }) => from.startsWith(`${base}/`) && to.startsWith(`${base}/`))
    .filter(({ from, to }) => floorOf(from) === -1 || floorOf(to) === -1 || floorOf(to) > floorOf(from))
    .map(({ from, to }) => `${from} -> ${to}`);
}

/** Returns the strongly connected components (Tarjan), each sorted by name. */
function circles(lines: readonly Import[]): string[][] {
  const next = new Map<string, Set<string>>();
  for (const { from, to } of lines) next.set(from, (next.get(from) ?? new Set()).add(to));
  const indexes = new Map<string, number>();
  const lowest = new Map<string, number>();
  const stack: string[] = [];
  const found: string[][] = [];
  const visit = (file: string): void => {
    indexes.set(file, indexes.size);
    lowest.set(file, indexes.get(file) ?? 0);
    stack.push(file);
    for (const other of next.get(file) ?? []) {
      if (!indexes.has(other)) visit(other);
      if (stack.includes(other)) lowest.set(file, Math.min(lowest.get(file) ?? 0, lowest.get(other) ?? 0));
    }
    if (lowest.get(file) !== indexes.get(file)) return;
    const circle = stack.splice(stack.indexOf(file));
    if (circle.length > 1) found.push(circle.sort());
  };
  for (const file of next.keys()) if (!indexes.has(file)) visit(file);
  return found;
}
