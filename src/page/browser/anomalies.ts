import { grouped } from '../../domain/shared/pluralize.js';
import type { Report } from '../page-data.js';
import { el, section } from './dom.js';

export function anomalies({ inspection }: Report): HTMLElement {
  const rows = WHAT.map(([name, what]) => ({ what, count: inspection.anomalies[name] }));
  const found = rows.filter(({ count }) => count !== null && count > 0);
  return section(
    'anomalies',
    found.length === 0 ? 'No anomalies' : '! Anomalies',
    el(
      'table',
      {},
      el(
        'tbody',
        {},
        ...rows.map(({ what, count }) =>
          el(
            'tr',
            {},
            el('th', { scope: 'row' }, what),
            el(
              'td',
              { class: count === 0 || count === null ? 'number muted' : 'number bad-text' },
              count === null ? 'not checked' : grouped(count),
            ),
          ),
        ),
      ),
    ),
  );
}

const WHAT = [
  ['noTtl', 'Subjects whose data never expires'],
  ['ttlMismatch', 'Subjects whose data does not expire with the last token'],
  ['unknownKid', 'Tokens of keys that are not in the key store'],
  ['unknownUser', 'Subjects that have tokens but are not users'],
  ['malformed', 'Set members that are not tokens'],
] as const satisfies ReadonlyArray<readonly [keyof Report['inspection']['anomalies'], string]>;
