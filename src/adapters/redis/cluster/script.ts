import { createHash } from 'node:crypto';
import type { Command } from '../wire/pipeline.js';

/**
 * A script over subjects of one hash slot. Every script is atomic and names each key that it touches. (Otherwise it would
 * stop halfway while the slot moves.) ARGV[1] is the horizon, `now - tolerance`. An entry that expired by then counts as gone
 * if it has also expired by the server's clock. ARGV[2] is the tolerance.
 */
export interface Script {
  readonly sha: string;
  readonly source: string;
}

/** @param parts run one after the other */
export function script(...parts: readonly string[]): Script {
  const source = parts.join('');
  return { source, sha: createHash('sha1').update(source).digest('hex') };
}

/** Declares constants as locals of a script. */
export function constants(values: Readonly<Record<string, string | number>>): string {
  return Object.entries(values)
    .map(([name, value]) => `local ${name} = ${JSON.stringify(value)}\n`)
    .join('');
}

/** By its hash; a server that does not have it answers NOSCRIPT (a new master after a failover has none). */
export function byHash(
  { sha }: Script,
  keys: readonly string[],
  args: ReadonlyArray<string | number>,
): Command {
  return ['evalsha', sha, keys.length, ...keys, ...args];
}

export function bySource(
  { source }: Script,
  keys: readonly string[],
  args: ReadonlyArray<string | number>,
): Command {
  return ['eval', source, keys.length, ...keys, ...args];
}
