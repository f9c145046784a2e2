import type { Writable } from 'node:stream';
import { grouped } from '../../domain/shared/pluralize.js';
import { rate } from './number-format.js';
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
  /** Whether the total is an estimate, which is shown rounded, because it changes. */
  isEstimated?: boolean;
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
    isEstimated = false,
    yield: yielded,
    extra,
    steady,
  }: ProgressNumbers & { extra: string; steady(name: string, text: string, least?: number): string },
): string[] {
  const perSecond = (count: number) => steady('rate', rate((1000 * count) / elapsedMs), RATE_WIDTH);
  const whole = total === null || !isEstimated ? total : Math.max(done, Number(total.toPrecision(2)));
  const count =
    whole === null
      ? steady('done', grouped(done), COUNT_WIDTH)
      : `${steady('done', grouped(done), grouped(whole).length)}/${isEstimated ? '~' : ''}${grouped(whole)}`;
  return [
    unit === undefined ? count : `${count} ${unit}`,
    yielded === undefined ? `${perSecond(done)}/s` : `${perSecond(yielded.count)} ${yielded.unit}/s`,
    ...(total === null || done === 0
      ? []
      : [`${steady('left', timeLeft(elapsedMs, done, total), TIME_WIDTH)} left`]),
    ...(extra === '' ? [] : [extra]),
  ];
}

/** On a narrow terminal, leaves out the bar, and then the last facts. */
function drawLine(label: string, part: number | null, facts: readonly string[], width: number): string {
  const text = facts.join(', ');
  const room = Math.min(BAR_WIDTH, width - label.length - text.length - 2);
  const bar = part === null || room < 4 ? '' : ` ${drawBar(part, room)}`;
  const line = `${label}${bar} ${text}`;
  if (line.length <= width || facts.length < 2) return line.slice(0, width);
  return drawLine(label, null, facts.slice(0, -1), width);
}

function timeLeft(elapsedMs: number, done: number, total: number): string {
  return coarseDuration(Math.ceil((elapsedMs * Math.max(0, total - done)) / done / 1000));
}
