import type { UsageReport } from '../../domain/key-usage.js';
import { relativeTime } from '../time.js';
import type { View } from '../view.js';

export function keyUsageReport({ at, complete, missed, keys }: UsageReport, now: number): View {
  return {
    shape: 'report',
    id: keys.map(({ kid, tokens }) => `${kid} ${tokens}`),
    data: {
      at,
      complete,
      ...(missed.length === 0 ? {} : { missed: [...missed] }),
      keys: keys.map(({ kid, state, tokens, subjects, firstExp, lastExp, retirableAt }) => ({
        kid,
        state,
        tokens,
        subjects,
        firstExp,
        lastExp,
        retirableAt,
      })),
    },
    sections: [
      {
        title: complete ? 'Live tokens by key' : 'INCOMPLETE: live tokens by key',
        columns: ['kid', 'state', 'tokens', 'subjects', 'first ends', 'last ends', 'retirable'],
        rows: keys.map((key) => [
          key.kid,
          key.state,
          String(key.tokens),
          String(key.subjects),
          relativeTime(key.firstExp, now),
          relativeTime(key.lastExp, now),
          relativeTime(key.retirableAt, now),
        ]),
      },
    ],
  };
}
