import type { Redis } from 'ioredis';
import { parseInfo } from '../wire/info.js';
import { sendPipeline, unwrap } from '../wire/pipeline.js';
import { integerIn } from '../wire/reply-shapes.js';

/** WAIT counts from the last write on its own connection, so `client` must be the one that wrote. */
async function confirmReplicas(client: Redis, timeoutMs: number): Promise<number> {
  try {
    const [info] = await sendPipeline(client, [['info', 'replication']], timeoutMs);
    const connected = info instanceof Error ? 1 : Number(parseInfo(info).get('connected_slaves') ?? 0);
    if (connected === 0) return 0;
    const [confirmed] = await sendPipeline(
      client,
      [['wait', connected, Math.min(1000, Math.floor(timeoutMs / 2))]],
      timeoutMs,
    );
    return integerIn(unwrap(confirmed));
  } catch {
    return 0;
  }
}

export async function confirmAll(
  touched: ReadonlySet<Redis | null>,
  timeoutMs: number,
): Promise<number | null> {
  if (touched.size === 0) return null;
  const confirmed = await Promise.all(
    [...touched].map((client) => (client === null ? 0 : confirmReplicas(client, timeoutMs))),
  );
  return Math.min(...confirmed);
}
