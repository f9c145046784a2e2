import { dateLabels } from './date-labels.js';
import type { Cell, Graph, Spans, Text, Tone } from './view.js';

/** A cell as it is drawn: parts may differ in color. */
export type Drawn = Text | readonly Text[];

export function isGraph(cell: Cell): cell is Graph {
  return typeof cell !== 'string' && !('text' in cell);
}

/** Returns the width that a graph needs, in characters. */
export function leastWidth(graph: Graph): number {
  return 'bar' in graph || 'sparkline' in graph ? BAR_MIN : AXIS_MIN;
}

const BAR_MIN = 8;
const AXIS_MIN = 22;

export function drawGraph(graph: Graph, width: number): Drawn {
  if ('bar' in graph) return drawBar(graph.bar, width);
  if ('sparkline' in graph) return drawSparkline(graph.sparkline, width);
  if ('spans' in graph) return drawSpans(graph, width);
  if ('dates' in graph) return placeLabels(dateLabels(graph.dates, width), width);
  return drawPointer(graph.pointer, width);
}

/** Draws in eighths of a character, and at least one for a part above 0. */
function drawBar(part: number, width: number): string {
  if (part <= 0) return '';
  const eighths = Math.max(1, Math.round(Math.min(1, part) * width * 8));
  return '█'.repeat(Math.floor(eighths / 8)) + ('▏▎▍▌▋▊▉'[(eighths % 8) - 1] ?? '');
}

/** The highest of all values fills a line. A value above 0 is never drawn as 0, and null is a gap. */
function drawSparkline(values: ReadonlyArray<number | null>, width: number): string {
  const highest = Math.max(...values.map((value) => value ?? 0));
  const levels = values.slice(-width).map((value) => {
    if (value === null) return ' ';
    if (value <= 0) return '▁';
    return '▂▃▄▅▆▇█'[Math.max(0, Math.ceil((7 * value) / highest) - 1)] ?? '█';
  });
  return levels.join('').padStart(width);
}

/** Draws each span with at least one character, so that a short one is not lost. */
function drawSpans({ spans, now, end }: Spans, width: number): Text[] {
  const column = (at: number) => Math.round(at * width);
  const visible = spans.filter(({ until }) => until === null || until > 0);
  let free = 0;
  const starts = visible.map(({ from }, index) => {
    const start = Math.min(Math.max(free, column(from)), width - visible.length + index);
    free = start + 1;
    return start;
  });
  const characters: Text[] = Array.from({ length: width }, () => ' ');
  let last = 0;
  for (const [index, { character, tone, until }] of visible.entries()) {
    const start = starts[index] ?? 0;
    last = Math.min(
      width,
      Math.max(start + 1, starts[index + 1] ?? (until === null ? width : column(until))),
    );
    characters.fill(tone === undefined ? character : { text: character, tone }, start, last);
    if (until === null) characters[width - 1] = '→';
  }
  characters[columnOf(now, width)] = '│';
  if (end !== undefined) characters[Math.min(last, width - 1)] = end;
  return joined(characters);
}

/** Rounds as the spans do, so that a pointer to their border points to it. */
function columnOf(at: number, width: number): number {
  return Math.min(width - 1, Math.max(0, Math.round(at * width)));
}

/** Joins neighbors of the same color, so that color codes do not surround every character. */
function joined(characters: readonly Text[]): Text[] {
  const parts: Text[] = [];
  for (const character of characters) {
    const last = parts.at(-1);
    if (last !== undefined && toneOf(last) === toneOf(character)) {
      const text = plainText(last) + plainText(character);
      parts[parts.length - 1] = typeof last === 'string' ? text : { text, tone: last.tone };
    } else parts.push(character);
  }
  return parts;
}

function toneOf(text: Text): Tone | undefined {
  return typeof text === 'string' ? undefined : text.tone;
}

function plainText(text: Text): string {
  return typeof text === 'string' ? text : text.text;
}

function placeLabels(labels: ReadonlyArray<{ at: number; text: string }>, width: number): string {
  let line = '';
  for (const { at, text } of labels) {
    const start = columnOf(at, width);
    if (start + text.length <= width) line = line.padEnd(start) + text;
  }
  return line;
}

function drawPointer({ at, text }: { at: number; text: string }, width: number): string {
  const column = columnOf(at, width);
  const right = `${' '.repeat(column)}▲ ${text}`;
  if (right.length <= width) return right;
  const left = `${text} ▲`;
  return left.length <= column + 1 ? left.padStart(column + 1) : `${' '.repeat(column)}▲`;
}
