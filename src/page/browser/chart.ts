import { create, type Selection } from 'd3-selection';
import { el, table } from './dom.js';
import { explainMarks, type Mark } from './tooltip.js';

export type Svg = Selection<SVGSVGElement, undefined, null, undefined>;

type Draw = (svg: Svg, width: number) => readonly Mark[];

/**
 * A chart as wide as the page allows. It is drawn again if the width changes.
 *
 * @param draw draws into an SVG of this width, sets its height, and returns the marks that have an explanation
 */
export function chart(label: string, draw: Draw): HTMLElement {
  return redrawnChart(label, draw).element;
}

/** The same, and it can be drawn again with other numbers. */
export function redrawnChart(label: string, draw: Draw): { element: HTMLElement; redraw(): void } {
  const element = el('div', { class: 'chart' });
  let width = 0;
  const redraw = () => {
    if (width === 0) return;
    const svg = create('svg').attr('width', width).attr('role', 'group').attr('aria-label', label);
    const marks = draw(svg, width);
    const node = svg.node();
    element.replaceChildren(...(node === null ? [] : [node]));
    explainMarks(element, marks);
  };
  new ResizeObserver(() => {
    const current = Math.floor(element.clientWidth);
    if (current === width) return;
    width = current;
    redraw();
  }).observe(element);
  return { element, redraw };
}

/** The numbers of a chart, for readers who prefer them. */
export function asTable(
  columns: readonly string[],
  rows: ReadonlyArray<readonly (string | Node)[]>,
): HTMLElement {
  return el('details', {}, el('summary', {}, 'Show as a table'), table(columns, rows));
}
