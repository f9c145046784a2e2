import { create, type Selection } from 'd3-selection';
import { el } from './dom.js';
import { explainMarks, type Mark } from './tooltip.js';

export type Svg = Selection<SVGSVGElement, undefined, null, undefined>;

/**
 * A chart as wide as the page allows. It is drawn again if the width changes.
 *
 * @param draw draws into an SVG of this width, sets its height, and returns the marks that have an explanation
 */
export function chart(label: string, draw: (svg: Svg, width: number) => readonly Mark[]): HTMLElement {
  const frame = el('div', { class: 'chart' });
  let drawn = 0;
  new ResizeObserver(() => {
    const width = Math.floor(frame.clientWidth);
    if (width === drawn || width === 0) return;
    drawn = width;
    const svg = create('svg').attr('width', width).attr('role', 'group').attr('aria-label', label);
    const marks = draw(svg, width);
    const node = svg.node();
    frame.replaceChildren(...(node === null ? [] : [node]));
    explainMarks(frame, marks);
  }).observe(frame);
  return frame;
}

/** The numbers of a chart, for readers who prefer them. */
export function asTable(
  columns: readonly string[],
  rows: ReadonlyArray<readonly (string | Node)[]>,
): HTMLElement {
  return el(
    'details',
    {},
    el('summary', {}, 'Show as a table'),
    el(
      'table',
      {},
      el('thead', {}, el('tr', {}, ...columns.map((name) => el('th', { scope: 'col' }, name)))),
      el(
        'tbody',
        {},
        ...rows.map(([first = '', ...others]) =>
          el('tr', {}, el('th', { scope: 'row' }, first), ...others.map((cell) => el('td', {}, cell))),
        ),
      ),
    ),
  );
}
