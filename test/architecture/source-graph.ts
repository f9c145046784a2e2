import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';

const SRC = fileURLToPath(new URL('../../src', import.meta.url));

export interface Import {
  /** The importing file, relative to `src`. */
  from: string;
  /** A file relative to `src`, or the name of a package or Node module. */
  to: string;
  isVendor: boolean;
  kind: 'static' | 'dynamic' | 'type';
}

/** Every import of every file in `src`. */
export function readImports(): Import[] {
  const files = readdirSync(SRC, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
  return files.flatMap((entry) => importsOf(join(entry.parentPath, entry.name)));
}

/** Returns the transitive static imports of a file. */
export function loadedWith(imports: readonly Import[], file: string): Set<string> {
  const loaded = new Set([file]);
  for (const name of loaded) {
    for (const { to, kind } of imports.filter(({ from }) => from === name)) {
      if (kind === 'static') loaded.add(to);
    }
  }
  return loaded;
}

function importsOf(path: string): Import[] {
  const text = readFileSync(path, 'utf8').replace(/^\s*(?:\/\/|\*|\/\*).*$/gm, '');
  const found: Array<[kind: Import['kind'], specifier: string]> = [];
  for (const [, type, specifier] of text.matchAll(
    /^(?:import|export)\s+(type\s)?(?:[^;'"]*?\sfrom\s+)?'([^']+)'/gm,
  )) {
    found.push([type === undefined ? 'static' : 'type', specifier as string]);
  }
  for (const [, type, specifier] of text.matchAll(/(typeof\s+)?\bimport\(\s*'([^']+)'\s*\)/g)) {
    found.push([type === undefined ? 'dynamic' : 'type', specifier as string]);
  }
  return found.map(([kind, specifier]) => {
    const isOwn = specifier.startsWith('.');
    const to = isOwn
      ? relative(SRC, join(dirname(path), specifier)).replace(/\.js$/, '.ts')
      : packageOf(specifier);
    return { from: relative(SRC, path), to, kind, isVendor: !isOwn && !specifier.startsWith('node:') };
  });
}

function packageOf(specifier: string): string {
  if (specifier.startsWith('node:')) return specifier;
  return specifier
    .split('/')
    .slice(0, specifier.startsWith('@') ? 2 : 1)
    .join('/');
}
