import type { Document, LineCounter, Node } from 'yaml';
import { JwtctlError } from '../../domain/shared/errors.js';

export interface ConfigDocument {
  readonly root: unknown;
  /** Returns the line of the last key in `keys` that the file contains; null if it contains none. */
  lineOf(keys: readonly string[]): number | null;
}

type Yaml = typeof import('yaml');

/** Loads the parser. In the file of the CLI, a CommonJS package has only its default export. */
export async function loadYaml(): Promise<Yaml> {
  const loaded: Yaml & { default?: Yaml } = await import('yaml');
  return loaded.default ?? loaded;
}

/** Drops the parser's own messages, which quote the text: `password: *hunter2` is an alias. */
export async function parseDocument(path: string, text: string): Promise<ConfigDocument | JwtctlError> {
  const yaml = await loadYaml();
  const lines = new yaml.LineCounter();
  const document = yaml.parseDocument(text, { lineCounter: lines, prettyErrors: false });
  const fault = [...document.errors, ...document.warnings][0];
  if (fault !== undefined) return syntaxError(path, fault.code, lines.linePos(fault.pos[0]));

  const dangling = danglingAlias(yaml, document);
  if (dangling !== null) return syntaxError(path, 'BAD_ALIAS', lines.linePos(dangling));
  try {
    const root: unknown = document.toJS({ maxAliasCount: 100 });
    return { root, lineOf: (keys) => lineOf(yaml, document, lines, keys) };
  } catch {
    return syntaxError(path, 'TOO_MANY_ALIASES', { line: 1, col: 1 });
  }
}

function syntaxError(path: string, code: string, at: { line: number; col: number }): JwtctlError {
  const problem = code.toLowerCase().replaceAll('_', ' ');
  const message = `${path}:${at.line}:${at.col}: not valid YAML or JSON (${problem}).`;
  return new JwtctlError('ERR_CONFIG_SYNTAX', message, {
    details: { file: path, line: at.line, column: at.col },
  });
}

function danglingAlias(yaml: typeof import('yaml'), document: Document): number | null {
  let offset: number | null = null;
  yaml.visit(document, {
    Alias(_, alias) {
      if (alias.resolve(document) !== undefined) return undefined;
      offset = alias.range?.[0] ?? 0;
      return yaml.visit.BREAK;
    },
  });
  return offset;
}

function lineOf(
  yaml: typeof import('yaml'),
  document: Document,
  lines: LineCounter,
  keys: readonly string[],
): number | null {
  let node: Node | null = document.contents;
  let line: number | null = null;
  for (const key of keys) {
    if (!yaml.isMap(node)) break;
    const pair = node.items.find((item) => yaml.isScalar(item.key) && String(item.key.value) === key);
    if (pair === undefined || !yaml.isScalar(pair.key)) break;
    line = pair.key.range ? lines.linePos(pair.key.range[0]).line : line;
    node = yaml.isNode(pair.value) ? pair.value : null;
  }
  return line;
}
