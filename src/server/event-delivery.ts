import type { Logger } from 'pino';
import type { Context } from '../app/context.js';
import type { EventDelivery } from '../domain/event-stream/deliver.js';
import { failureText, JwtctlError } from '../domain/shared/errors.js';
import type { Metrics } from './metrics.js';

/** How often the process with the lease looks for events. */
const INTERVAL_MS = 1_000;
/** How often the others look for a free lease. */
const STANDBY_MS = 15_000;
const LONGEST_PAUSE_MS = 60_000;

export interface EventDeliveryOptions {
  log: Logger;
  stop: AbortSignal;
  metrics: Pick<Metrics, 'onEventLag'>;
}

/**
 * Delivers events to `hooks.command` until `stop`, if that is set. Failures are logged when they begin, change, or end,
 * and tried again after growing pauses.
 */
export async function startEventDelivery(
  context: Context,
  { log, stop, metrics }: EventDeliveryOptions,
): Promise<void> {
  let delivery: EventDelivery | null = null;
  let isHolder = false;
  metrics.onEventLag(() => {
    const pendingSince = delivery?.pendingSince ?? null;
    if (pendingSince === null) return isHolder ? 0 : null;
    return Math.max(0, context.clock.now() - pendingSince);
  });
  let failing: string | null = null;
  let pauseMs = INTERVAL_MS;
  while (!stop.aborted) {
    try {
      delivery ??= await context.eventDelivery((text) => log.warn(text));
      if (delivery === null) return;
      const wasHolder = isHolder;
      ({ isHolder } = await delivery.deliver(stop));
      // Without the lease, nothing was delivered.
      if (isHolder && failing !== null) log.info('events are delivered again');
      else if (isHolder && !wasHolder) log.info('this process delivers the events');
      if (isHolder) failing = null;
      pauseMs = isHolder ? INTERVAL_MS : STANDBY_MS;
    } catch (error) {
      if (stop.aborted) break;
      const code = error instanceof JwtctlError ? error.code : 'ERR_BUG';
      if (code !== failing) log.error({ code }, `events are not delivered: ${failureText(error)}`);
      pauseMs = failing === null ? INTERVAL_MS : Math.min(2 * pauseMs, LONGEST_PAUSE_MS);
      failing = code;
      isHolder = false;
    }
    await context.clock.pause(pauseMs, stop).catch(() => {});
  }
  await delivery?.release().catch(() => {});
}
