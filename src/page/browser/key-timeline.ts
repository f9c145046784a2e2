import { axisBottom } from 'd3-axis';
import { type ScaleTime, scaleTime } from 'd3-scale';
import { relativeTime } from '../../cli/output/time.js';
import type { KeyPhase } from '../../domain/keys/timeline.js';
import { stateName } from '../../domain/model/signing-key.js';
import { printable } from '../../domain/shared/text.js';
import type { Report } from '../page-data.js';
import { asTable, chart, type Svg } from './chart.js';
import { el, foreign, section } from './dom.js';
import { localTime, relativeTimeElement } from './format.js';
import type { Mark } from './tooltip.js';

const ROW = 44;
const BAR = 16;
const MARGIN = { top: 22, bottom: 28, side: 10 };
const MOST_KEYS = 20;

type Scale = ScaleTime<number, number>;

/** Who signs when, who verifies until when, and the next rotation. */
export function keyTimeline({ at, timeline }: Report): HTMLElement {
  const { keys, nextRotation, axis } = timeline;
  if (keys.length === 0)
    return section('keys', 'Keys', el('p', { class: 'bad-text' }, '✗ There are no keys.'));
  // The others ended before the axis begins.
  const shown = keys
    .filter(({ verifiesUntil }) => verifiesUntil === null || verifiesUntil >= axis.from)
    .slice(-MOST_KEYS);
  const hidden = keys.length - shown.length;
  return section(
    'keys',
    'Keys',
    legend(),
    chart('What each key does, on a time axis', (svg, width) => {
      const height = MARGIN.top + shown.length * ROW + MARGIN.bottom;
      const x = scaleTime([axis.from * 1000, axis.to * 1000], [MARGIN.side, width - MARGIN.side]);
      svg.attr('height', height);
      patterns(svg);
      svg
        .append('g')
        .attr('class', 'axis')
        .attr('transform', `translate(0,${height - MARGIN.bottom})`)
        .call(
          axisBottom(x)
            .ticks(Math.max(4, Math.floor(width / 110)))
            .tickSizeOuter(0),
        );
      if (nextRotation !== null && nextRotation > at)
        line(svg, x, nextRotation, height, { text: 'next rotation', kind: 'rotation' });
      line(svg, x, at, height, { text: 'now', kind: 'now' });
      return shown.map((key, index) => drawKey(svg, x, key, { at, top: MARGIN.top + index * ROW, width }));
    }),
    hidden === 0 ? null : el('p', { class: 'muted' }, `Not drawn: ${hidden} older. The table has all keys.`),
    asTable(
      ['Key', 'State', 'Published', 'Signs from', 'Signs until', 'Verifies until'],
      keys.map((key) => [
        foreign(key.kid),
        stateName(key),
        ...[key.publishedAt, key.signsFrom, key.signsUntil, key.verifiesUntil].map((time) =>
          time === null ? '–' : relativeTimeElement(time, at),
        ),
      ]),
    ),
  );
}

const PHASES: Readonly<Record<KeyPhase['kind'], string>> = {
  published: 'published, does not sign yet',
  signs: 'signs',
  verifies: 'verifies only',
};

function legend(): HTMLElement {
  return el(
    'ul',
    { class: 'legend', 'aria-hidden': 'true' },
    ...Object.entries(PHASES).map(([kind, text]) =>
      el('li', {}, el('span', { class: `swatch ${kind}` }), text),
    ),
  );
}

function drawKey(
  svg: Svg,
  x: Scale,
  key: Report['timeline']['keys'][number],
  { at, top, width }: { at: number; top: number; width: number },
): Mark {
  const row = svg.append('g').attr('class', `mark key ${key.state}`);
  row
    .append('rect')
    .attr('class', 'hit')
    .attr('x', 0)
    .attr('y', top)
    .attr('width', width)
    .attr('height', ROW - 4);
  const sign = key.state === 'compromised' ? '✗ ' : key.state === 'active' ? '✓ ' : '';
  const state = `${sign}${stateName(key)}`;
  const label = row
    .append('text')
    .attr('x', MARGIN.side)
    .attr('y', top + 14);
  label
    .append('tspan')
    .attr('class', 'kid')
    .text(printable(shortened(key.kid, width < 600 ? 20 : 48)));
  label.append('tspan').attr('class', 'state').attr('dx', 8).text(state);
  const end = x.domain()[1]?.getTime() ?? 0;
  for (const { kind, from, until } of key.phases) {
    const left = x(Math.max(from * 1000, x.domain()[0]?.getTime() ?? 0));
    row
      .append('rect')
      .attr('class', `phase ${kind}`)
      .attr('x', left)
      .attr('y', top + 20)
      .attr('width', Math.max(2, x(until === null ? end : until * 1000) - left))
      .attr('height', BAR)
      .attr('rx', 2);
  }
  return {
    element: row.node() as SVGGElement,
    lines: [`${key.kid}: ${state}`, ...key.phases.map((phase) => phaseText(phase, at))],
  };
}

function phaseText({ kind, from, until }: KeyPhase, now: number): string {
  const end = until === null ? 'without an end' : `until ${localTime(until)} (${relativeTime(until, now)})`;
  return `${PHASES[kind]}: from ${localTime(from)}, ${end}`;
}

function line(
  svg: Svg,
  x: Scale,
  time: number,
  height: number,
  { text, kind }: { text: string; kind: 'now' | 'rotation' },
): void {
  const at = x(time * 1000);
  const isRight = at > (x.range()[1] ?? 0) - 90;
  const group = svg.append('g').attr('class', `line ${kind}`);
  group
    .append('line')
    .attr('x1', at)
    .attr('x2', at)
    .attr('y1', 4)
    .attr('y2', height - MARGIN.bottom);
  group
    .append('text')
    .attr('x', at + (isRight ? -4 : 4))
    .attr('y', 12)
    .attr('text-anchor', isRight ? 'end' : 'start')
    .text(text);
}

/** Phases differ by pattern, too, for readers who do not see their colors. */
function patterns(svg: Svg): void {
  const stripes = svg
    .append('defs')
    .append('pattern')
    .attr('id', 'stripes')
    .attr('width', 6)
    .attr('height', 6)
    .attr('patternUnits', 'userSpaceOnUse')
    .attr('patternTransform', 'rotate(45)');
  stripes.append('line').attr('y2', 6).attr('class', 'stripe');
}

/** Shortens in the middle, because the start and the end of an ID tell it from others. */
function shortened(text: string, most: number): string {
  const characters = [...text];
  if (characters.length <= most) return text;
  const part = Math.floor((most - 1) / 2);
  return `${characters.slice(0, part).join('')}…${characters.slice(-part).join('')}`;
}
