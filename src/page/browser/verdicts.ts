import { axisBottom, axisLeft } from 'd3-axis';
import { scaleLinear } from 'd3-scale';
import { rate } from '../../cli/output/number-format.js';
import { grouped } from '../../domain/shared/pluralize.js';
import type { Counts } from '../page-data.js';
import { redrawnChart } from './chart.js';
import { el, table } from './dom.js';

/** How long the chart looks back, in seconds. */
const WINDOW = 120;
/** For rates and quantiles. */
const RECENT = 60;
const HEIGHT = 160;
const MARGIN = { top: 10, bottom: 24, left: 48, right: 8 };

interface Rates {
  at: number;
  accepted: number;
  others: number;
}

/** The verdicts by code, and the rates of the last two minutes. */
export class Verdicts {
  readonly element = el('div');
  readonly #table = el('div');
  readonly #samples: Counts[] = [];
  readonly #chart = redrawnChart('Verifications per second in the last two minutes', (svg, width) =>
    this.#draw(svg, width),
  );

  constructor() {
    const legend = el(
      'ul',
      { class: 'legend', 'aria-hidden': 'true' },
      el('li', {}, el('span', { class: 'swatch line-accepted' }), 'accepted per second'),
      el('li', {}, el('span', { class: 'swatch line-others' }), 'refused or failed per second'),
    );
    this.element.append(legend, this.#chart.element, this.#table);
  }

  add(counts: Counts): void {
    const last = this.#samples.at(-1);
    if (last !== undefined && counts.at <= last.at) return;
    // After a restart of the server, counters begin anew.
    if (last !== undefined && totalOf(counts) < totalOf(last)) this.#samples.length = 0;
    this.#samples.push(counts);
    while ((this.#samples[0]?.at ?? counts.at) < counts.at - WINDOW - 4) this.#samples.shift();
    this.#chart.redraw();
    this.#table.replaceChildren(this.#tableOf(counts));
  }

  /** Returns the number of verifications in each bucket of their duration. */
  recentLatency(): Counts['latency'] {
    const [first, last] = [this.#before(RECENT), this.#samples.at(-1)];
    if (last === undefined) return [];
    return last.latency.map(({ leSeconds, count }, index) => {
      const below = last.latency[index - 1]?.count ?? 0;
      const earlier = first?.latency[index]?.count ?? 0;
      const earlierBelow = first?.latency[index - 1]?.count ?? 0;
      return { leSeconds, count: count - below - (earlier - earlierBelow) };
    });
  }

  #before(seconds: number): Counts | undefined {
    const end = (this.#samples.at(-1)?.at ?? 0) - seconds;
    return this.#samples.findLast(({ at }) => at <= end) ?? this.#samples[0];
  }

  #tableOf(counts: Counts): HTMLElement {
    const earlier = this.#before(RECENT) ?? counts;
    const seconds = Math.max(1, counts.at - earlier.at);
    const rows = Object.entries(counts.verdicts).sort(
      ([a, countA], [b, countB]) => Number(b === 'active') - Number(a === 'active') || countB - countA,
    );
    if (rows.length === 0) return el('p', { class: 'muted' }, 'No verifications since the server started.');
    return table(
      ['Verdict', { number: 'Per second' }, { number: 'Since the start' }],
      rows.map(([code, count]) => [
        code === 'active' ? '✓ accepted' : el('span', { class: 'code' }, code),
        rate((count - (earlier.verdicts[code] ?? 0)) / seconds),
        grouped(count),
      ]),
    );
  }

  #rates(): Rates[] {
    return this.#samples.flatMap((sample, index) => {
      const earlier = this.#samples[index - 1];
      if (earlier === undefined) return [];
      const seconds = sample.at - earlier.at;
      const all = (totalOf(sample) - totalOf(earlier)) / seconds;
      const accepted = ((sample.verdicts.active ?? 0) - (earlier.verdicts.active ?? 0)) / seconds;
      return [{ at: sample.at, accepted, others: all - accepted }];
    });
  }

  #draw(svg: Parameters<Parameters<typeof redrawnChart>[1]>[0], width: number): [] {
    const rates = this.#rates();
    const end = this.#samples.at(-1)?.at ?? 0;
    const x = scaleLinear([-WINDOW, 0], [MARGIN.left, width - MARGIN.right]);
    const most = Math.max(1, ...rates.map(({ accepted, others }) => Math.max(accepted, others)));
    const y = scaleLinear([0, most], [HEIGHT - MARGIN.bottom, MARGIN.top]).nice(3);
    svg.attr('height', HEIGHT);
    svg
      .append('g')
      .attr('class', 'axis grid')
      .attr('transform', `translate(${MARGIN.left},0)`)
      .call(
        axisLeft<number>(y)
          .ticks(3)
          .tickFormat((perSecond) => (Number.isInteger(perSecond) ? grouped(perSecond) : String(perSecond)))
          .tickSize(-(width - MARGIN.left - MARGIN.right)),
      );
    svg
      .append('g')
      .attr('class', 'axis')
      .attr('transform', `translate(0,${HEIGHT - MARGIN.bottom})`)
      .call(
        axisBottom<number>(x)
          .tickValues([-120, -90, -60, -30, 0])
          .tickFormat((seconds) => (seconds === 0 ? 'now' : `${seconds}s`)),
      );
    for (const name of ['accepted', 'others'] as const) {
      const points = rates.map((one) => `${x(one.at - end).toFixed(1)},${y(one[name]).toFixed(1)}`);
      svg.append('polyline').attr('class', `series ${name}`).attr('points', points.join(' '));
    }
    return [];
  }
}

function totalOf({ verdicts }: Counts): number {
  return Object.values(verdicts).reduce((sum, count) => sum + count, 0);
}
