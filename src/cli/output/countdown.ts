import type { Writable } from 'node:stream';
import { SingleBar } from 'cli-progress';
import type { Clock } from '../../domain/ports/index.js';
import { formatDuration } from '../../domain/shared/duration.js';

/**
 * Waits until `time`. A bar tells how long it still takes, redrawn each second where that can be; else it is said once.
 *
 * @param what is waited for: `key 3f9c… is published for long enough`
 * @param talk where it is told; null for not at all
 * @param canRedraw whether that is a terminal that knows escape sequences
 * @throws AbortError once `signal` is aborted
 */
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
  const begun = clock.now();
  if (diagnostics === null || !canRedraw) {
    diagnostics?.write(`Waiting ${formatDuration(time - begun)} until ${what}.\n`);
    return clock.until(time, signal);
  }
  const bar = new SingleBar({
    stream: diagnostics as NodeJS.WritableStream,
    format: `{bar} {left} until ${what}`,
    barCompleteChar: '█',
    barIncompleteChar: '░',
    barsize: 20,
    hideCursor: true,
    clearOnComplete: true,
  });
  const left = () => formatDuration(Math.max(0, time - clock.now()));
  bar.start(time - begun, 0, { left: left() });
  try {
    while (clock.now() < time) {
      await clock.until(Math.min(clock.now() + 1, time), signal);
      bar.update(clock.now() - begun, { left: left() });
    }
  } finally {
    // The line is cleared, and the cursor shown again, however the wait ended.
    bar.stop();
  }
}
