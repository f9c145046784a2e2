import { createHash } from 'node:crypto';

/** Scripts name every key that they touch: otherwise one would stop halfway while its slot moves. */
export interface Script {
  readonly sha: string;
  readonly source: string;
}

export type Args = ReadonlyArray<string | number>;

export function script(...parts: readonly string[]): Script {
  const source = parts.join('');
  return { source, sha: createHash('sha1').update(source).digest('hex') };
}

export function constants(values: Readonly<Record<string, string | number>>): string {
  return Object.entries(values)
    .map(([name, value]) => `local ${name} = ${JSON.stringify(value)}\n`)
    .join('');
}
