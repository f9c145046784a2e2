import type { Writable } from 'node:stream';
import type { Clock } from '../../domain/ports/index.js';
import { formatDuration } from '../../domain/shared/duration.js';
import { drawBar, StatusLine } from './status-line.js';

const BAR_WIDTH = 20;

/** @param what the condition, shown after `until` */
export async function waitVisibly(
  time: number,
  what: string,
  {
    clock,
    diagnostics,
    canRedraw,
    signal,
  }: { clock: Clock; diagnostics: Writable | null; canRedraw: boolean; signal: AbortSignal },
): Promise<void> {
  const startedAt = clock.now();
  if (diagnostics === null || !canRedraw) {
    diagnostics?.write(`Waiting ${formatDuration(time - startedAt)} until ${what}.\n`);
    return clock.until(time, signal);
  }
  const line = new StatusLine(diagnostics);
  try {
    for (let now = startedAt; now < time; now = clock.now()) {
      const bar = drawBar((now - startedAt) / (time - startedAt), BAR_WIDTH);
      line.draw(`${bar} ${formatDuration(time - now)} until ${what}`);
      await clock.until(Math.min(now + 1, time), signal);
    }
  } finally {
    line.clear();
  }
}
