import { axisBottom, axisLeft } from 'd3-axis';
import { scaleLinear, scaleTime } from 'd3-scale';
import { share } from '../../cli/output/number-format.js';
import { grouped, pluralize } from '../../domain/shared/pluralize.js';
import type { Report } from '../page-data.js';
import { asTable, chart } from './chart.js';
import { el, section } from './dom.js';
import { timeOfDay } from './format.js';

const HEIGHT = 220;
const MARGIN = { top: 12, bottom: 28, left: 56, right: 8 };

export function expiry({ at, inspection: { expiry, entries } }: Report): HTMLElement {
  const hours = expiry.flatMap(({ leSeconds, entries: tokens }, index) =>
    leSeconds === null
      ? []
      : [{ from: at + (expiry[index - 1]?.leSeconds ?? 0), to: at + leSeconds, tokens }],
  );
  const later = expiry.find(({ leSeconds }) => leSeconds === null)?.entries ?? 0;
  const largest = Math.max(1, ...hours.map(({ tokens }) => tokens));
  const end = hours.at(-1)?.to ?? at;
  const span = ({ from, to }: { from: number; to: number }) => `${timeOfDay(from)} to ${timeOfDay(to)}`;
  return section(
    'expiry',
    'Expiry in the next 24 hours',
    el(
      'p',
      { class: 'muted' },
      `Tokens that expire in each hour. ${pluralize(later, 'token expires', 'tokens expire')} later.`,
    ),
    chart('Tokens that expire in each of the next 24 hours', (svg, width) => {
      const x = scaleTime([at * 1000, end * 1000], [MARGIN.left, width - MARGIN.right]);
      const y = scaleLinear([0, largest], [HEIGHT - MARGIN.bottom, MARGIN.top]).nice(4);
      const counts = axisLeft<number>(y.copy())
        .tickValues(y.ticks(4).filter(Number.isInteger))
        .tickFormat(grouped)
        .tickSize(-(width - MARGIN.left - MARGIN.right));
      svg.attr('height', HEIGHT);
      svg
        .append('g')
        .attr('class', 'axis grid')
        .attr('transform', `translate(${MARGIN.left},0)`)
        .call(counts);
      svg
        .append('g')
        .attr('class', 'axis')
        .attr('transform', `translate(0,${HEIGHT - MARGIN.bottom})`)
        .call(
          axisBottom<Date>(x)
            .ticks(Math.max(3, Math.floor(width / 90)))
            .tickFormat((date) => timeOfDay(date.getTime() / 1000))
            .tickSizeOuter(0),
        );
      const bars = svg.append('g').attr('class', 'bars');
      return hours.map((hour) => {
        const left = x(hour.from * 1000) + 1;
        const top = y(hour.tokens);
        const bar = bars.append('g').attr('class', 'mark');
        bar
          .append('rect')
          .attr('class', 'hit')
          .attr('x', left - 1)
          .attr('y', MARGIN.top)
          .attr('width', x(hour.to * 1000) - left + 1)
          .attr('height', HEIGHT - MARGIN.bottom - MARGIN.top);
        bar
          .append('rect')
          .attr('class', 'fill')
          .attr('x', left)
          .attr('y', top)
          .attr('width', Math.max(1, x(hour.to * 1000) - left - 1))
          .attr('height', HEIGHT - MARGIN.bottom - top);
        const text = `${pluralize(hour.tokens, 'token')}, ${share(hour.tokens, entries)}`;
        return { element: bar.node() as SVGGElement, lines: [span(hour), text] };
      });
    }),
    asTable(
      ['Hour', 'Tokens', 'Share'],
      [
        ...hours.map((hour) => [span(hour), grouped(hour.tokens), share(hour.tokens, entries)]),
        ['later', grouped(later), share(later, entries)],
      ],
    ),
  );
}
