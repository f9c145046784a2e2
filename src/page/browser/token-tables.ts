import { share, size } from '../../cli/output/number-format.js';
import { grouped } from '../../domain/shared/pluralize.js';
import type { Report } from '../page-data.js';
import { type Child, el, foreign, section } from './dom.js';

export function tokensByKey({ inspection: { byKid, entries }, timeline }: Report): HTMLElement {
  const verifyOnly = new Set(timeline.keys.filter((key) => key.verifyOnly).map(({ kid }) => kid));
  return section(
    'by-key',
    'Tokens by key',
    table(
      'No live tokens.',
      ['Key', 'State'],
      byKid.map(({ kid, keyId, state, entries: tokens }) => ({
        cells: [
          kid === null ? `(unknown key ${keyId})` : foreign(kid),
          stateCell(kid !== null && verifyOnly.has(kid) ? 'verify-only' : state),
        ],
        tokens,
      })),
      entries,
    ),
  );
}

/** Tokens of such keys are refused. */
const REFUSED: ReadonlySet<string> = new Set(['unknown', 'retired', 'compromised']);

function stateCell(state: string | null): HTMLElement {
  const shown = state ?? 'unknown';
  return REFUSED.has(shown)
    ? el('span', { class: 'bad-text', title: 'Verification refuses these tokens.' }, `✗ ${shown}`)
    : el('span', {}, shown);
}

export function tokensByNode({ inspection: { byNode, entries, backend } }: Report): HTMLElement {
  const isCluster = backend !== 'sqlite';
  return section(
    'by-node',
    'Tokens by node',
    table(
      'No nodes.',
      ['Node', ...(isCluster ? ['Slots', 'Memory used'] : [])],
      byNode.map(({ node, role, slots, entries: tokens, usedMemoryBytes }) => ({
        cells: [
          role === 'gone' ? el('span', { class: 'bad-text' }, '✗ ', foreign(node), ' (gone)') : foreign(node),
          ...(isCluster ? [slots === null ? '–' : grouped(slots), size(usedMemoryBytes)] : []),
        ],
        tokens,
      })),
      entries,
    ),
  );
}

export function topSubjects({ inspection: { topSubjects, entries } }: Report): HTMLElement {
  return section(
    'top-subjects',
    'Subjects with the most tokens',
    table(
      'No subjects.',
      ['Subject'],
      topSubjects.map(({ sub, entries: tokens }) => ({ cells: [foreign(sub)], tokens })),
      entries,
    ),
  );
}

interface Row {
  cells: readonly Child[];
  tokens: number;
}

function table(empty: string, columns: readonly string[], rows: readonly Row[], whole: number): HTMLElement {
  if (rows.length === 0) return el('p', { class: 'muted' }, empty);
  return barTable(
    columns,
    ['Tokens', 'Share'],
    rows.map(({ cells, tokens }) => ({
      ...{ cells, numbers: [grouped(tokens), share(tokens, whole)], length: tokens },
    })),
  );
}

interface BarRow {
  cells: readonly Child[];
  numbers: readonly string[];
  /** Of the bar. */
  length: number;
}

/** A table whose last column is a bar. */
export function barTable(
  columns: readonly string[],
  numberColumns: readonly string[],
  rows: readonly BarRow[],
): HTMLElement {
  const longest = Math.max(...rows.map(({ length }) => length));
  const isNumber = (name: string | undefined) => name === 'Slots' || name === 'Memory used';
  return el(
    'table',
    {},
    el(
      'thead',
      {},
      el(
        'tr',
        {},
        ...columns.map((name) => el('th', { scope: 'col', class: isNumber(name) ? 'number' : '' }, name)),
        ...numberColumns.map((name) => el('th', { scope: 'col', class: 'number' }, name)),
        el('td', { class: 'bar' }),
      ),
    ),
    el(
      'tbody',
      {},
      ...rows.map(({ cells: [first = '', ...others], numbers, length }) =>
        el(
          'tr',
          {},
          el('th', { scope: 'row' }, first),
          ...others.map((cell, index) =>
            el('td', { class: isNumber(columns[index + 1]) ? 'number' : 'state-cell' }, cell),
          ),
          ...numbers.map((number) => el('td', { class: 'number' }, number)),
          el('td', { class: 'bar', 'aria-hidden': 'true' }, bar(length, longest)),
        ),
      ),
    ),
  );
}

function bar(part: number, longest: number): HTMLElement {
  const element = el('div');
  element.style.width = `${longest === 0 ? 0 : (100 * part) / longest}%`;
  return element;
}
