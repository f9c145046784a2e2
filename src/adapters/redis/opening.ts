import { Cluster, Redis } from 'ioredis';
import { JwtctlError } from '../../domain/errors.js';
import {
  clusterOptions,
  formatNode,
  type HostPort,
  nodeOptions,
  type RedisOptions,
} from './client-options.js';
import { clusterDown, type RedisAddress, replyCode, translateError } from './errors.js';
import { withDeadline } from './pipeline.js';

/**
 * @param onNodeError hears why a connection to one node failed, now and later
 * @throws JwtctlError
 */
export async function openCluster(
  options: RedisOptions,
  address: RedisAddress,
  onNodeError: (error: unknown, key: string) => void,
): Promise<Cluster> {
  const deadline = Date.now() + options.timeoutMs;
  const seeds = options.nodes.map((node) => nodeOptions(options, node));
  const cluster = new Cluster(seeds, clusterOptions(options));
  let refusal: unknown;
  cluster.on('error', () => {});
  cluster.on('node error', (error: unknown, key: string) => {
    if (replyCode(error) !== null) refusal = error;
    onNodeError(error, key);
  });
  try {
    await withDeadline(cluster.connect(), options.timeoutMs);
  } catch (error) {
    cluster.disconnect();
    throw await whyNoCluster(options, address, refusal ?? error, deadline - Date.now());
  }
  if (cluster.slots.some((keys) => keys !== undefined && keys.length > 0)) return cluster;
  cluster.disconnect();
  throw clusterDown(`The Redis Cluster at ${address.nodes.join(', ')} serves no slots.`, address);
}

/** @throws JwtctlError */
export async function openStandalone(options: RedisOptions, address: RedisAddress): Promise<Redis> {
  const [node] = options.nodes;
  if (node === undefined) throw new JwtctlError('bug', 'ERR_REDIS_NO_NODES', 'No Redis server is named.');
  const { client, mode } = await greet(options, node, options.timeoutMs).catch((error: unknown) => {
    throw translateError(error, address);
  });
  if (mode !== 'cluster') return client;
  client.disconnect();
  throw new JwtctlError(
    'usage',
    'ERR_REDIS_IS_A_CLUSTER',
    `Redis at ${formatNode(node)} is a node of a cluster, and redis.mode is standalone.`,
    { hint: 'Set redis.mode (JWTCTL_REDIS_MODE) to cluster.', details: { nodes: address.nodes } },
  );
}

/** ioredis says little of why no node answered, so each is asked by itself. */
async function whyNoCluster(
  options: RedisOptions,
  address: RedisAddress,
  error: unknown,
  remainingMs: number,
): Promise<unknown> {
  if (remainingMs <= 0) return translateError(error, address);
  const found = await Promise.allSettled(options.nodes.map((node) => greet(options, node, remainingMs)));
  let reason = error;
  let isStandalone = false;
  for (const outcome of found) {
    if (outcome.status === 'fulfilled') {
      outcome.value.client.disconnect();
      isStandalone ||= outcome.value.mode === 'standalone';
    } else if (replyCode(reason) === null) reason = outcome.reason;
  }
  if (!isStandalone) return translateError(reason, address);
  return new JwtctlError(
    'usage',
    'ERR_REDIS_NOT_A_CLUSTER',
    `Redis at ${address.nodes.join(', ')} is not a cluster, and redis.mode is cluster.`,
    { hint: 'Set redis.mode (JWTCTL_REDIS_MODE) to standalone.', details: { nodes: address.nodes } },
  );
}

/** Connects to one server and learns what it is; a proxy that does not know HELLO leaves `mode` null. */
async function greet(
  options: RedisOptions,
  node: HostPort,
  timeoutMs: number,
): Promise<{ client: Redis; mode: string | null }> {
  const client = new Redis({ ...nodeOptions(options, node), retryStrategy: () => null });
  // connect() rejects with "Connection is closed" whatever the reason was; the event has it.
  let reason: unknown;
  client.on('error', (error) => {
    reason ??= error;
  });
  try {
    return {
      client,
      mode: await withDeadline(
        client.connect().then(() => askMode(client)),
        timeoutMs,
      ),
    };
  } catch (error) {
    client.disconnect();
    throw reason ?? error;
  }
}

/** HELLO needs no permission, and names the mode by a field where an error of CLUSTER does so in words only. */
async function askMode(client: Redis): Promise<string | null> {
  const reply = await client.call('hello', '2').catch((error: unknown) => {
    if (replyCode(error) === 'ERR') return [];
    throw error;
  });
  const fields: unknown[] = Array.isArray(reply) ? reply : [];
  const mode = fields[fields.indexOf('mode') + 1];
  return fields.includes('mode') && typeof mode === 'string' ? mode : null;
}
