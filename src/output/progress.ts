import type { Writable } from 'node:stream';
import { SingleBar } from 'cli-progress';
import { formatDuration } from '../domain/duration.js';
import { grouped, rate } from './figures.js';

/** How far something is that takes a while. */
export interface Progress {
  /** @param total null where nobody knows it */
  update(done: number, total: number | null, extra: ProgressExtra): void;
  stop(): void;
}

export interface ProgressExtra {
  /** What is counted by `done`: `slots`. */
  unit: string;
  /** What has come of it so far, told as so many a second. */
  yield?: { count: number; unit: string };
}

/** What is over sooner needs no bar. */
const PATIENCE_MS = 300;
const BAR_WIDTH = 24;

/**
 * A line on a terminal that is redrawn in its place and gone at the end. Neither the cursor nor the wrapping of lines is
 * changed: however the run ends, there is nothing to put right.
 *
 * @param label what is done: `Reading`
 * @param stream a terminal
 * @param nowMs a clock in milliseconds
 */
export function openProgress(
  label: string,
  { stream }: { stream: Writable & { columns?: number } },
  nowMs: () => number = () => performance.now(),
): Progress {
  let begun = nowMs();
  let last = 0;
  const bar = new SingleBar({
    stream: stream as NodeJS.WritableStream,
    format: (_options, _params, { line }) => line,
    hideCursor: false,
    linewrap: true,
    gracefulExit: false,
    clearOnComplete: true,
  });
  return {
    update(done, total, extra) {
      // A second walk begins where the first one did.
      if (done < last) begun = nowMs();
      last = done;
      const elapsedMs = nowMs() - begun;
      if (elapsedMs < PATIENCE_MS) return;
      const line = drawLine(label, { done, total, elapsedMs, ...extra }, (stream.columns || 80) - 1);
      if (bar.isActive) bar.update(done, { line });
      else bar.start(total ?? 0, done, { line });
    },
    stop: () => bar.stop(),
  };
}

function drawLine(
  label: string,
  {
    done,
    total,
    unit,
    elapsedMs,
    ...extra
  }: ProgressExtra & { done: number; total: number | null; elapsedMs: number },
  width: number,
): string {
  const perSecond = (count: number) => rate((1000 * count) / elapsedMs);
  const facts = [
    total === null ? `${grouped(done)} ${unit}` : `${grouped(done)}/${grouped(total)} ${unit}`,
    extra.yield === undefined
      ? `${perSecond(done)}/s`
      : `${perSecond(extra.yield.count)} ${extra.yield.unit}/s`,
    ...(total === null || done === 0 ? [] : [`${timeLeft(elapsedMs, done, total)} left`]),
  ].join(', ');
  const room = Math.min(BAR_WIDTH, width - label.length - facts.length - 2);
  const drawn = total === null || room < 4 ? '' : ` ${drawBar(done / total, room)}`;
  return `${label}${drawn} ${facts}`.slice(0, width);
}

function drawBar(part: number, width: number): string {
  const full = Math.round(Math.min(1, part) * width);
  return '█'.repeat(full) + '░'.repeat(width - full);
}

function timeLeft(elapsedMs: number, done: number, total: number): string {
  return formatDuration(Math.ceil((elapsedMs * (total - done)) / done / 1000));
}
