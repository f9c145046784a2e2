import { expect, test } from 'vitest';
import { type Import, loadedWith, readImports } from './source-graph.js';

const imports = readImports();
const files = [...new Set(imports.map(({ from }) => from))];

function broken(isBroken: (line: Import) => boolean): string[] {
  return imports.filter(isBroken).map(({ from, to, kind }) => `${from} -> ${to} (${kind})`);
}

function isBelow(path: string, ...folders: string[]): boolean {
  return folders.some((folder) => path.startsWith(`${folder}/`));
}

test('finds the imports', () => {
  expect(imports.length).toBeGreaterThan(300);
  expect(imports).toContainEqual({
    from: 'cli/main.ts',
    to: 'cli/program.ts',
    kind: 'static',
    isVendor: false,
  });
  expect(imports).toContainEqual({
    from: 'cli/program.ts',
    to: 'cli/commands/keys/index.ts',
    kind: 'dynamic',
    isVendor: false,
  });
  expect(imports).toContainEqual({
    from: 'cli/commands/token/issue-request.ts',
    to: 'app/context.ts',
    kind: 'type',
    isVendor: false,
  });
});

test('the domain imports only Node, jose, and itself', () => {
  expect(
    broken(
      ({ from, to, isVendor }) =>
        isBelow(from, 'domain') &&
        !isBelow(to, 'domain') &&
        !to.startsWith('node:') &&
        !(isVendor && to === 'jose'),
    ),
  ).toEqual([]);
});

test('an adapter imports only the domain, its own folder, and one vendor', () => {
  const folderOf = (path: string) => path.split('/').slice(0, 2).join('/');
  expect(
    broken(
      ({ from, to, isVendor }) =>
        isBelow(from, 'adapters') &&
        !isVendor &&
        !to.startsWith('node:') &&
        !isBelow(to, 'domain', folderOf(from)),
    ),
  ).toEqual([]);

  const vendors = new Map<string, Set<string>>();
  for (const { from, to, isVendor } of imports) {
    if (!isVendor || !isBelow(from, 'adapters')) continue;
    const folder = folderOf(from);
    vendors.set(folder, (vendors.get(folder) ?? new Set()).add(to));
  }
  // Kysely works with both drivers.
  expect([...(vendors.get('adapters/sql') ?? [])].sort()).toEqual(['kysely', 'libsql', 'mysql2']);
  vendors.delete('adapters/sql');
  // ioredis itself computes hash slots with cluster-key-slot.
  vendors.get('adapters/redis')?.delete('cluster-key-slot');
  for (const [folder, names] of vendors)
    expect({ folder, vendors: names.size }).toEqual({ folder, vendors: 1 });
  for (const file of files) {
    const drivers = imports.filter(({ from, to }) => from === file && (to === 'mysql2' || to === 'libsql'));
    expect({ file, drivers: new Set(drivers.map(({ to }) => to)).size < 2 }).toEqual({ file, drivers: true });
  }
});

test('a command imports domain and views, and the context only as a type', () => {
  expect(
    broken(({ from, to, kind, isVendor }) => {
      if (
        !isBelow(from, 'cli/commands') ||
        isBelow(to, 'cli/commands', 'domain', 'cli/output', 'page', 'verifier', 'issuer')
      )
        return false;
      if (['app/context.ts', 'cli/globals.ts', 'cli/invocation.ts', 'cli/io.ts'].includes(to))
        return kind !== 'type';
      if (to === 'app/version.ts') return false;
      if (isBelow(to, 'config', 'metrics', 'server')) return kind === 'static';
      return !(isVendor && to === 'commander');
    }),
  ).toEqual([]);
});

test('views and rendering import the domain, but no stores, settings, or commands', () => {
  expect(
    broken(
      ({ from, to, kind, isVendor }) =>
        isBelow(from, 'cli/output') && !isVendor && !isBelow(to, 'cli/output', 'domain') && kind !== 'type',
    ),
  ).toEqual([]);
});

test('the page imports only D3, the domain, and formats', () => {
  const formats = ['number-format', 'pluralize', 'time'].map((name) => `cli/output/${name}.ts`);
  expect(
    broken(
      ({ from, to, isVendor }) =>
        isBelow(from, 'page') &&
        !isBelow(to, 'page', 'domain') &&
        !formats.includes(to) &&
        !(isVendor && isBelow(from, 'page/browser') && to.startsWith('d3-')),
    ),
  ).toEqual([]);
});

test('input readers import only the domain and csv-parse', () => {
  expect(
    broken(
      ({ from, to, isVendor }) =>
        isBelow(from, 'cli/input') &&
        !isBelow(to, 'cli/input', 'domain') &&
        !to.startsWith('node:') &&
        !(isVendor && to === 'csv-parse'),
    ),
  ).toEqual([]);
});

test('http imports domain and verifier; server also issuer, secrets, fastify, pino, and prom-client', () => {
  expect(
    broken(
      ({ from, to, kind }) =>
        isBelow(from, 'http') &&
        !isBelow(to, 'http', 'domain') &&
        !(isBelow(to, 'verifier') && kind === 'type'),
    ),
  ).toEqual([]);
  expect(
    broken(({ from, to, kind, isVendor }) => {
      if (!isBelow(from, 'server') || to.startsWith('node:')) return false;
      if (isBelow(to, 'server', 'http', 'domain', 'page', 'verifier', 'issuer', 'metrics', 'config/secrets'))
        return false;
      if (to === 'app/version.ts') return false;
      if (isVendor) return !['fastify', 'pino', 'prom-client'].includes(to);
      return !(
        (['app/context.ts', 'app/tracing.ts'].includes(to) || isBelow(to, 'config')) &&
        kind === 'type'
      );
    }),
  ).toEqual([]);
});

test('metrics import the domain and prom-client', () => {
  expect(
    broken(
      ({ from, to }) => isBelow(from, 'metrics') && !isBelow(to, 'metrics', 'domain') && to !== 'prom-client',
    ),
  ).toEqual([]);
});

test('the middlewares load neither Express, Fastify, nor the server', () => {
  for (const entry of ['express.ts', 'fastify.ts']) {
    const loaded = [...loadedWith(imports, entry)].filter((name) => name !== entry);
    expect(loaded.filter((name) => !isBelow(name, 'http', 'domain') && !name.startsWith('node:'))).toEqual(
      [],
    );
  }
});

test('only the context imports adapters: as types or dynamically', () => {
  const contextFiles = ['create-context', 'open-stores', 'sealing'].map((name) => `app/${name}.ts`);
  expect(
    broken(
      ({ from, to, kind }) =>
        isBelow(to, 'adapters') &&
        !isBelow(from, 'adapters') &&
        !(from === 'app/context.ts' && kind === 'type') &&
        !(contextFiles.includes(from) && (kind === 'dynamic' || kind === 'type')),
    ),
  ).toEqual([]);
});

test('static imports of the CLI reach only commander', () => {
  const vendors = new Set(imports.filter(({ isVendor }) => isVendor).map(({ to }) => to));
  const loaded = [...loadedWith(imports, 'cli/main.ts')];

  expect(loaded).toContain('cli/program.ts');
  // Help and `token decode` need no setting.
  expect(loaded).not.toContain('config/settings.ts');
  expect(loaded.filter((name) => vendors.has(name))).toEqual(['commander']);
});

test('a command group is loaded only when called', () => {
  const loaded = [...loadedWith(imports, 'cli/main.ts')];
  expect(
    loaded.filter((name) =>
      isBelow(name, 'cli/commands', 'adapters', 'verifier', 'issuer', 'server', 'http'),
    ),
  ).toEqual([]);

  const groups = imports.filter(({ from, to }) => from === 'cli/program.ts' && isBelow(to, 'cli/commands'));
  const loading = groups.filter(({ kind }) => kind === 'dynamic').map(({ to }) => to);
  expect(loading.sort()).toEqual([
    ...['audit', 'cache', 'completion', 'config', 'db'].map((name) => `cli/commands/${name}/index.ts`),
    'cli/commands/doctor.ts',
    'cli/commands/events/index.ts',
    'cli/commands/help.ts',
    'cli/commands/init/index.ts',
    'cli/commands/keys/index.ts',
    'cli/commands/metrics.ts',
    'cli/commands/serve.ts',
    'cli/commands/status.ts',
    ...['token', 'users'].map((name) => `cli/commands/${name}/index.ts`),
  ]);
});

test('static imports of the library reach no commander, adapter, or driver', () => {
  const vendors = new Set(imports.filter(({ isVendor }) => isVendor).map(({ to }) => to));
  const loaded = [...loadedWith(imports, 'index.ts')];

  expect(loaded.filter((name) => isBelow(name, 'adapters', 'cli/commands', 'cli/output'))).toEqual([]);
  expect(loaded.filter((name) => vendors.has(name) && name !== 'jose' && name !== 'zod')).toEqual([]);
});
