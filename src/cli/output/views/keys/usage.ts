import type { UsageReport } from '../../../../domain/keys/usage.js';
import { stateName } from '../../../../domain/model/signing-key.js';
import { grouped } from '../../../../domain/shared/pluralize.js';
import { numberColumn, plainColumn, shortenedColumn } from '../../columns.js';
import { relativeTime } from '../../time.js';
import type { View } from '../../view.js';

export function keyUsageReport({ at, complete, missed, keys }: UsageReport, now: number): View {
  return {
    shape: 'report',
    id: keys.map(({ kid, tokens }) => `${kid} ${tokens}`),
    data: {
      at,
      complete,
      ...(missed.length === 0 ? {} : { missed: [...missed] }),
      keys: keys.map((key) => ({ ...key })),
    },
    sections: [
      {
        title: complete ? 'Live tokens by key' : 'INCOMPLETE: live tokens by key',
        lines: keys.some(({ verifyUntil }) => verifyUntil !== null) ? [COLUMN_NOTE] : [],
        columns: [
          shortenedColumn('kid'),
          'state',
          numberColumn('tokens'),
          numberColumn('subjects', 2),
          plainColumn('first ends', 1),
          plainColumn('last ends', 3),
          'retirable from',
          'verifies until',
        ],
        rows: keys.map((key) => [
          key.kid,
          stateName(key),
          grouped(key.tokens),
          grouped(key.subjects),
          relativeTime(key.firstExp, now),
          relativeTime(key.lastExp, now),
          relativeTime(key.retirableAt, now),
          key.verifyOnly && key.verifyUntil === null ? 'no end' : relativeTime(key.verifyUntil, now),
        ]),
      },
    ],
  };
}

const COLUMN_NOTE =
  'RETIRABLE FROM is when the last live token of the key expires. VERIFIES UNTIL is when jwtctl retires the key automatically.';
