import type { StreamEvent } from '../../../domain/event-stream/event.js';
import type { View } from '../view.js';

export function eventStream(portions: AsyncIterable<readonly StreamEvent[]>): View {
  return { shape: 'stream', portions: streamItems(portions) };
}

async function* streamItems(portions: AsyncIterable<readonly StreamEvent[]>) {
  for await (const portion of portions) yield portion.map((event) => ({ data: event, id: event.position }));
}
