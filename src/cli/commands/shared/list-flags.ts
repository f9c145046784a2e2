import type { Command } from 'commander';
import { containsText } from '../../../domain/shared/search-text.js';
import type { Globals } from '../../globals.js';
import { EXIT } from '../../output/exit-code.js';
import type { Json, JsonObject, ListItem, ListView, Outcome } from '../../output/view.js';
import { integerFlag } from './flags.js';

export interface ListFlags {
  limit?: number;
  search?: string;
}

/** @param where what `--search` looks at: `kid and state` */
export function addListFlags<Verb extends Command>(command: Verb, where: string): Verb {
  return command
    .option('--limit <number>', 'list at most this many', integerFlag('--limit', 1, 1_000_000_000))
    .option('--search <text>', `list only rows with this text in ${where}, ignoring case`);
}

/**
 * Applies `--limit` and `--search` while the rows are streamed. A table that was cut says so.
 * @param names the members of `data` that `--search` looks at; empty if the store has searched
 */
export function listOutcome(
  view: ListView,
  { limit = Number.POSITIVE_INFINITY, search }: ListFlags,
  { format }: Globals,
  names: readonly string[],
  exitCode: number = EXIT.done,
): Outcome {
  let isCut = false;
  async function* items(): AsyncGenerator<ListItem> {
    let count = 0;
    for await (const item of view.items) {
      if (search !== undefined && names.length > 0 && !matchesSearch(item.data, names, search)) continue;
      isCut = count === limit;
      if (isCut) return;
      count += 1;
      yield item;
    }
  }
  return {
    view: { ...view, items: items(), empty: search === undefined ? view.empty : NONE_FOUND },
    completion: async () => ({ exitCode, notes: isCut && format === 'table' ? [cutNote(limit)] : [] }),
  };
}

export const NONE_FOUND = 'Nothing matches --search.';

function cutNote(limit: number): string {
  return `Only the first ${limit} are shown, because of --limit. There are more.`;
}

export function matchesSearch(data: JsonObject, names: readonly string[], search: string): boolean {
  return names.some((name) => textsIn(data[name] ?? null).some((text) => containsText(text, search)));
}

function textsIn(value: Json): string[] {
  if (value === null) return [];
  return typeof value === 'object' ? Object.values(value).flatMap(textsIn) : [String(value)];
}
