import { coarseDuration } from '../../cli/output/time.js';
import type { Report } from '../page-data.js';
import { el, foreign, section } from './dom.js';

export function fleet({ at, status: { verifiers } }: Report): HTMLElement {
  return section('fleet', 'Running verifiers', verifierTable(verifiers, at));
}

function verifierTable(verifiers: Report['status']['verifiers'], now: number): HTMLElement {
  if (verifiers === null) return el('p', { class: 'bad-text' }, '✗ The fleet could not be read.');
  if (verifiers.length === 0) return el('p', { class: 'muted' }, 'None.');
  return el(
    'table',
    {},
    el(
      'thead',
      {},
      el('tr', {}, ...['Host', 'Process', 'Running for'].map((name) => el('th', { scope: 'col' }, name))),
    ),
    el(
      'tbody',
      {},
      ...verifiers.map(({ host, pid, startedAt }) =>
        el(
          'tr',
          {},
          el('th', { scope: 'row' }, foreign(host)),
          el('td', {}, String(pid)),
          el('td', {}, coarseDuration(Math.max(0, now - startedAt))),
        ),
      ),
    ),
  );
}
