import { coarseDuration } from '../../cli/output/time.js';
import type { RunningVerifier } from '../page-data.js';
import { el, foreign } from './dom.js';

export function verifierTable(verifiers: readonly RunningVerifier[] | null, now: number): HTMLElement {
  if (verifiers === null)
    return el('p', { class: 'bad-text' }, '✗ The running verifiers could not be listed.');
  if (verifiers.length === 0) return el('p', { class: 'muted' }, 'None.');
  return el(
    'table',
    {},
    el(
      'thead',
      {},
      el(
        'tr',
        {},
        ...['Host', 'Process', 'Version', 'Running for'].map((name) => el('th', { scope: 'col' }, name)),
      ),
    ),
    el(
      'tbody',
      {},
      ...verifiers.map(({ host, pid, version, startedAt }) =>
        el(
          'tr',
          {},
          el('th', { scope: 'row' }, foreign(host)),
          el('td', {}, String(pid)),
          el('td', {}, version === null ? 'older' : foreign(version)),
          el('td', {}, coarseDuration(Math.max(0, now - startedAt))),
        ),
      ),
    ),
  );
}
