import type { Clock } from '../domain/ports/index.js';
import { formatDuration } from '../domain/shared/duration.js';

export interface ClockComparerOptions {
  hostClock: Pick<Clock, 'now'>;
  toleranceSeconds: number;
  caution(text: string): void;
}

/** Returns a function that resolves with the seconds that a store's clock is ahead; 0 within tolerance. */
export function clockComparer({ hostClock, toleranceSeconds, caution }: ClockComparerOptions) {
  return async (store: string, askTime: () => Promise<number>): Promise<number> => {
    const before = hostClock.now();
    const storeTime = await askTime();
    const after = hostClock.now();
    const isAhead = storeTime < before;
    const seconds = isAhead ? before - storeTime : storeTime - after;
    if (seconds <= toleranceSeconds + 1) return 0;
    const difference = `${formatDuration(seconds)} ${isAhead ? 'ahead of' : 'behind'}`;
    caution(
      `The clock of this host is ${difference} the clock of ${store}, more than token.clockTolerance (${toleranceSeconds} s). Synchronize both clocks.`,
    );
    return isAhead ? -seconds : seconds;
  };
}
