import type { Writable } from 'node:stream';
import { grouped, rate } from './number-format.js';
import { drawBar, StatusLine } from './status-line.js';
import { coarseDuration } from './time.js';

export interface Progress {
  /** @param extra appended to the line: `12 failed` */
  update(done: number, total: number | null, extra?: string, numbers?: ProgressNumbers): void;
  /** Clears the line for other output. The next update draws it again. */
  clear(): void;
}

export interface ProgressNumbers {
  unit?: string;
  /** The results so far. Their rate is shown instead of the rate of `done`. */
  yield?: { count: number; unit: string };
}

/** Operations that end sooner show no progress. */
const PATIENCE_MS = 300;
const REDRAW_MS = 100;
const BAR_WIDTH = 24;
/** `100,000` */
const RATE_WIDTH = 7;
/** `1,000,000` */
const COUNT_WIDTH = 9;
/** `59m59s` */
const TIME_WIDTH = 6;

export function openProgress(
  label: string,
  { stream }: { stream: Writable & { columns?: number } },
  nowMs: () => number = () => performance.now(),
): Progress {
  const line = new StatusLine(stream);
  const widths = new Map<string, number>();
  /** Pads a number on the left to the widest one so far, so that the text after it stays in its place. */
  const steady = (name: string, text: string, least = 0) => {
    const width = Math.max(widths.get(name) ?? 0, least, text.length);
    widths.set(name, width);
    return text.padStart(width);
  };
  let startedAt = nowMs();
  let drawnAt = Number.NEGATIVE_INFINITY;
  let last = 0;
  return {
    update(done, total, extra = '', numbers = {}) {
      // A second walk starts over.
      if (done < last) startedAt = nowMs();
      last = done;
      const elapsedMs = nowMs() - startedAt;
      if (elapsedMs < PATIENCE_MS || nowMs() - drawnAt < REDRAW_MS) return;
      drawnAt = nowMs();
      const facts = describe(done, total, elapsedMs, { ...numbers, extra, steady });
      line.draw(drawLine(label, total === null ? null : done / total, facts, (stream.columns || 80) - 1));
    },
    clear: () => line.clear(),
  };
}

function describe(
  done: number,
  total: number | null,
  elapsedMs: number,
  {
    unit,
    yield: yielded,
    extra,
    steady,
  }: ProgressNumbers & { extra: string; steady(name: string, text: string, least?: number): string },
): string {
  const perSecond = (count: number) => steady('rate', rate((1000 * count) / elapsedMs), RATE_WIDTH);
  const count =
    total === null
      ? steady('done', grouped(done), COUNT_WIDTH)
      : `${steady('done', grouped(done), grouped(total).length)}/${grouped(total)}`;
  return [
    unit === undefined ? count : `${count} ${unit}`,
    yielded === undefined ? `${perSecond(done)}/s` : `${perSecond(yielded.count)} ${yielded.unit}/s`,
    ...(total === null || done === 0
      ? []
      : [`${steady('left', timeLeft(elapsedMs, done, total), TIME_WIDTH)} left`]),
    ...(extra === '' ? [] : [extra]),
  ].join(', ');
}

function drawLine(label: string, part: number | null, facts: string, width: number): string {
  const room = Math.min(BAR_WIDTH, width - label.length - facts.length - 2);
  const bar = part === null || room < 4 ? '' : ` ${drawBar(part, room)}`;
  return `${label}${bar} ${facts}`.slice(0, width);
}

function timeLeft(elapsedMs: number, done: number, total: number): string {
  return coarseDuration(Math.ceil((elapsedMs * Math.max(0, total - done)) / done / 1000));
}
