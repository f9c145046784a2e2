import type { Writable } from 'node:stream';
import { SingleBar } from 'cli-progress';
import { formatDuration } from '../domain/duration.js';

/** Shows on a terminal how far something is that takes a while. */
export interface Progress {
  /**
   * @param total null where nobody knows it
   * @param extra said behind the rest: `12 failed`
   */
  update(done: number, total: number | null, extra?: string): void;
  /** Clears the line for something else that is written there; the next update draws it again. */
  clear(): void;
  /** Clears it for good, and shows the cursor again. */
  stop(): void;
}

/** A new rate counts with this much each time: fast enough to follow a change, slow enough to be read. */
const SMOOTHING = 0.3;
const SAMPLE_MS = 500;

/**
 * @param label what is under way: `issuing`
 * @param stream a terminal
 */
export function openProgress(label: string, { stream }: { stream: Writable }): Progress {
  const bar = new SingleBar({
    stream: stream as NodeJS.WritableStream,
    format: (options, { progress }, { text, hasTotal }: { text: string; hasTotal: boolean }) => {
      if (!hasTotal) return `${label} ${text}`;
      const filled = Math.round(progress * BAR_SIZE);
      const drawn = `${options.barCompleteChar?.repeat(filled)}${options.barIncompleteChar?.repeat(BAR_SIZE - filled)}`;
      return `${label} ${drawn} ${text}`;
    },
    barCompleteChar: '█',
    barIncompleteChar: '░',
    barsize: BAR_SIZE,
    hideCursor: true,
    clearOnComplete: true,
    fps: 5,
  });
  const meter = new RateMeter();
  let isStopped = false;
  bar.start(1, 0, { text: '', hasTotal: false });
  return {
    update: (done, total, extra = '') => {
      if (isStopped) return;
      const rate = meter.rateAt(done);
      const known = total === null ? null : Math.max(total, done, 1);
      bar.setTotal(known ?? 1);
      bar.update(known === null ? 0 : done, {
        text: describe(done, known, rate, extra),
        hasTotal: known !== null,
      });
    },
    clear: () => {
      if (!isStopped) stream.write('\r\u001b[K');
    },
    stop: () => {
      isStopped = true;
      bar.stop();
    },
  };
}

const BAR_SIZE = 20;

function describe(done: number, total: number | null, rate: number | null, extra: string): string {
  const left = total === null || rate === null || rate === 0 ? null : Math.ceil((total - done) / rate);
  const percent = total === null ? null : Math.floor((100 * done) / total);
  return [
    ...(percent === null ? [] : [`${percent}%`]),
    total === null ? number(done) : `${number(done)} of ${number(total)}`,
    ...(rate === null ? [] : [`${number(Math.round(rate))}/s`]),
    ...(left === null ? [] : [`${formatDuration(left)} left`]),
    ...(extra === '' ? [] : [extra]),
  ].join(', ');
}

function number(value: number): string {
  return value.toLocaleString('en');
}

class RateMeter {
  #at = performance.now();
  #done = 0;
  #rate: number | null = null;

  /** How many were done in a second of late; null before that can be told. */
  rateAt(done: number): number | null {
    const elapsedMs = performance.now() - this.#at;
    if (elapsedMs < SAMPLE_MS) return this.#rate;
    const rate = (1000 * (done - this.#done)) / elapsedMs;
    this.#rate = this.#rate === null ? rate : SMOOTHING * rate + (1 - SMOOTHING) * this.#rate;
    this.#at += elapsedMs;
    this.#done = done;
    return this.#rate;
  }
}
