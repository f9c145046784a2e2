import type { StreamEvent } from '../../../domain/event-stream/event.js';
import { positionText, type StreamPosition } from '../../../domain/event-stream/position.js';
import { pluralize } from '../../../domain/shared/pluralize.js';
import type { View } from '../view.js';

export function eventStream(portions: AsyncIterable<readonly StreamEvent[]>): View {
  return { shape: 'stream', portions: streamItems(portions) };
}

async function* streamItems(portions: AsyncIterable<readonly StreamEvent[]>) {
  for await (const portion of portions) yield portion.map((event) => ({ data: event, id: event.position }));
}

/** @param position null if another process delivers */
export function delivery(delivered: number, position: StreamPosition | null): View {
  const text = position === null ? null : positionText(position);
  return {
    shape: 'record',
    data: { delivered, position: text },
    id: String(delivered),
    fields: [
      ['delivered', pluralize(delivered, 'event')],
      ['position', text ?? '-'],
    ],
  };
}

export function pendingDelivery(count: number): View {
  return {
    shape: 'record',
    data: { delivered: 0, wouldDeliver: count, dryRun: true },
    id: '0',
    fields: [['would deliver', pluralize(count, 'event')]],
  };
}
