import { grouped, share, size } from '../../cli/output/number-format.js';
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

/** A table whose last columns are the number of tokens, their share, and a bar. */
function table(empty: string, columns: readonly string[], rows: readonly Row[], whole: number): HTMLElement {
  if (rows.length === 0) return el('p', { class: 'muted' }, empty);
  const longest = Math.max(...rows.map(({ tokens }) => tokens));
  const isNumber = (index: number) => index > 0 && columns[index] !== 'State';
  return el(
    'table',
    {},
    el(
      'thead',
      {},
      el(
        'tr',
        {},
        ...columns.map((column, index) =>
          el('th', { scope: 'col', ...(isNumber(index) ? { class: 'number' } : {}) }, column),
        ),
        el('th', { scope: 'col', class: 'number' }, 'Tokens'),
        el('th', { scope: 'col', class: 'number' }, 'Share'),
        el('td', { class: 'bar' }),
      ),
    ),
    el(
      'tbody',
      {},
      ...rows.map(({ cells: [name = '', ...others], tokens }) =>
        el(
          'tr',
          {},
          el('th', { scope: 'row' }, name),
          ...others.map((cell, index) =>
            el('td', { class: isNumber(index + 1) ? 'number' : 'state-cell' }, cell),
          ),
          el('td', { class: 'number' }, grouped(tokens)),
          el('td', { class: 'number' }, share(tokens, whole)),
          el('td', { class: 'bar', 'aria-hidden': 'true' }, bar(tokens, longest)),
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
