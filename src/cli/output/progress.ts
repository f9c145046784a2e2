import type { Writable } from 'node:stream';
import { SingleBar } from 'cli-progress';
import { formatDuration } from '../../domain/shared/duration.js';
import { grouped, rate } from './number-format.js';

/** How far something is that takes a while. */
export interface Progress {
  /**
   * @param total null where nobody knows it
   * @param extra said behind the rest: `12 failed`
   * @param figures what to show beside the plain numbers
   */
  update(done: number, total: number | null, extra?: string, numbers?: ProgressNumbers): void;
  /** Clears the line for something else that is written there; the next update draws it again. */
  clear(): void;
  /** Clears it for good. */
  stop(): void;
}

export interface ProgressNumbers {
  /** What is counted by `done`: `slots`. */
  unit?: string;
  /** What has come of it so far, whose rate says more than that of `done`. */
  yield?: { count: number; unit: string };
}

/** What is over sooner needs no bar. */
const PATIENCE_MS = 300;
const BAR_WIDTH = 24;

/**
 * A line on a terminal that is redrawn in its place and gone at the end. Neither the cursor nor the wrapping of lines is
 * changed, and no signal is listened to: however the run ends, there is nothing to put right.
 *
 * @param label what is under way: `Reading`
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
    update(done, total, extra = '', numbers = {}) {
      // A second walk begins where the first one did.
      if (done < last) begun = nowMs();
      last = done;
      const elapsedMs = nowMs() - begun;
      if (elapsedMs < PATIENCE_MS) return;
      const facts = describe(done, total, elapsedMs, numbers, extra);
      const line = drawLine(label, total === null ? null : done / total, facts, (stream.columns || 80) - 1);
      if (bar.isActive) bar.update(done, { line });
      else bar.start(total ?? 0, done, { line });
    },
    clear() {
      if (bar.isActive) stream.write('\r\x1b[K');
    },
    stop: () => bar.stop(),
  };
}

function describe(
  done: number,
  total: number | null,
  elapsedMs: number,
  { unit, yield: yielded }: ProgressNumbers,
  extra: string,
): string {
  const perSecond = (count: number) => rate((1000 * count) / elapsedMs);
  const count = total === null ? grouped(done) : `${grouped(done)}/${grouped(total)}`;
  return [
    unit === undefined ? count : `${count} ${unit}`,
    yielded === undefined ? `${perSecond(done)}/s` : `${perSecond(yielded.count)} ${yielded.unit}/s`,
    ...(total === null || done === 0 ? [] : [`${timeLeft(elapsedMs, done, total)} left`]),
    ...(extra === '' ? [] : [extra]),
  ].join(', ');
}

/** @param part null where there is no bar */
function drawLine(label: string, part: number | null, facts: string, width: number): string {
  const room = Math.min(BAR_WIDTH, width - label.length - facts.length - 2);
  const bar = part === null || room < 4 ? '' : ` ${drawBar(part, room)}`;
  return `${label}${bar} ${facts}`.slice(0, width);
}

function drawBar(part: number, width: number): string {
  const full = Math.round(Math.min(1, part) * width);
  return '█'.repeat(full) + '░'.repeat(width - full);
}

function timeLeft(elapsedMs: number, done: number, total: number): string {
  return formatDuration(Math.ceil((elapsedMs * Math.max(0, total - done)) / done / 1000));
}
