import { share } from '../../cli/output/number-format.js';
import { grouped } from '../../domain/shared/pluralize.js';
import type { Counts } from '../page-data.js';
import { el } from './dom.js';
import { barTable } from './token-tables.js';

/** @param buckets the number of verifications in each bucket */
export function latencyView(buckets: Counts['latency']): HTMLElement[] {
  const all = buckets.reduce((sum, { count }) => sum + count, 0);
  if (all === 0) return [el('p', { class: 'muted' }, 'No verifications in the last minute.')];
  const used = buckets.filter(({ count }) => count > 0);
  return [
    el(
      'dl',
      { class: 'quantiles' },
      ...[50, 95, 99].map((percent) =>
        el(
          'div',
          {},
          el('dt', {}, `${percent}% within`),
          el('dd', { class: 'value' }, quantile(buckets, (all * percent) / 100)),
        ),
      ),
    ),
    el(
      'p',
      { class: 'muted' },
      `${grouped(all)} verifications in the last minute, from the request to the verdict.`,
    ),
    barTable(
      ['Within'],
      ['Verifications', 'Share'],
      used.map(({ leSeconds, count }) => ({
        cells: [leSeconds === null ? 'longer' : duration(leSeconds)],
        numbers: [grouped(count), share(count, all)],
        length: count,
      })),
    ),
  ];
}

/** The upper bound of the bucket: a value between the bounds would be a guess. */
function quantile(buckets: Counts['latency'], rank: number): string {
  let sum = 0;
  for (const { leSeconds, count } of buckets) {
    sum += count;
    if (sum >= rank && count > 0) return leSeconds === null ? 'longer' : duration(leSeconds);
  }
  return '–';
}

function duration(seconds: number): string {
  return seconds < 1 ? `${Number((seconds * 1000).toPrecision(3))} ms` : `${seconds} s`;
}
