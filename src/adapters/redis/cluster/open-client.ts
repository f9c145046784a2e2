import { Cluster, Redis } from 'ioredis';
import { JwtctlError } from '../../../domain/shared/errors.js';
import { HASH_SLOTS } from '../keyspace.js';
import { surviveBrokenReplies } from '../wire/broken-replies.js';
import { clusterOptions, nodeOptions, silenceMs } from '../wire/client-options.js';
import { speaksTls } from '../wire/dial.js';
import { formatNode, type HostPort, isKnownHost } from '../wire/node-address.js';
import { withDeadline } from '../wire/pipeline.js';
import {
  clusterDown,
  DeadlineError,
  innermost,
  isVague,
  type RedisAddress,
  replicaError,
  replyCode,
  translateError,
} from '../wire/redis-errors.js';
import type { RedisOptions } from '../wire/redis-options.js';

surviveBrokenReplies();

export async function openCluster(
  options: RedisOptions,
  address: RedisAddress,
  onNodeError: (error: unknown, key: string) => void,
): Promise<Cluster> {
  const deadline = Date.now() + options.timeoutMs;
  const seeds = options.nodes.map(({ host, port }) => ({ host, port }));
  const cluster = new Cluster(seeds, clusterOptions(options));
  let refusal: unknown;
  cluster.on('+node', fillInEndpoints);
  cluster.on('error', () => {});
  cluster.on('node error', (error: unknown, key: string) => {
    const reason = innermost(error);
    if (reason instanceof JwtctlError || replyCode(reason) !== null) refusal = error;
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

type SlotRange = [first: number, last: number, ...nodes: Array<[host: string | null, ...rest: unknown[]]>];
type TakeSlots = (error: Error | null, ranges?: unknown) => void;

/**
 * Fills in unknown hosts in replies to CLUSTER SLOTS with the host that was asked: null
 * (`cluster-preferred-endpoint-type unknown-endpoint`) or `?` (`hostname`, for a node without one). ioredis
 * 6.0 skips the first, connects to the second, and throws an uncaught error if the reply has another shape.
 */
function fillInEndpoints(redis: Redis): void {
  const duplicate = redis.duplicate.bind(redis);
  redis.duplicate = (override) => {
    const copy = duplicate(override);
    const client = copy as unknown as { cluster(subcommand: string, take: TakeSlots): unknown };
    const ask = client.cluster.bind(copy);
    client.cluster = (subcommand, take) =>
      ask(subcommand, (error, ranges) => {
        if (error !== null) return take(error);
        if (!isSlotRanges(ranges)) return take(noSlots(redis));
        for (const node of ranges.flatMap(([, , ...nodes]) => nodes))
          if (!isKnownHost(node[0])) node[0] = String(redis.options.host);
        take(null, ranges);
      });
    return copy;
  };
}

function isSlotRanges(reply: unknown): reply is SlotRange[] {
  const isSlot = (value: unknown) =>
    Number.isInteger(value) && Number(value) >= 0 && Number(value) < HASH_SLOTS;
  const isNode = (node: unknown) =>
    Array.isArray(node) && (node[0] === null || typeof node[0] === 'string') && Number.isInteger(node[1]);
  return (
    Array.isArray(reply) &&
    reply.every(
      (range) => Array.isArray(range) && [range[0], range[1]].every(isSlot) && range.slice(2).every(isNode),
    )
  );
}

function noSlots({ options: { host = '', port = 0 } }: Redis): JwtctlError {
  const node = formatNode({ host, port });
  const message = `Redis at ${node} does not answer CLUSTER SLOTS with a list of slots.`;
  return new JwtctlError('ERR_REDIS_UNEXPECTED_REPLY', message, {
    hint: 'Check that redis.nodes (JWTCTL_REDIS_NODES) points to Redis 7.0 or newer, or Valkey 8 or newer.',
    details: { nodes: [node] },
  });
}

export async function openStandalone(options: RedisOptions, address: RedisAddress): Promise<Redis> {
  const [node] = options.nodes;
  if (node === undefined) throw new JwtctlError('ERR_BUG', 'No Redis server is configured.');
  const { client, mode, role } = await greet(options, node, options.timeoutMs).catch((error: unknown) => {
    throw translateError(error, address);
  });
  if (mode !== 'cluster' && mode !== 'sentinel' && role !== 'replica') return client;
  client.disconnect();
  if (mode === 'sentinel') throw isSentinel(formatNode(node));
  // The message omits its master, because the replica may become a master again.
  if (mode !== 'cluster') throw replicaError(formatNode(node), null);
  throw new JwtctlError(
    'ERR_REDIS_MODE_MISMATCH',
    `Redis at ${formatNode(node)} is a cluster node, but redis.mode is ${options.mode}.`,
    { hint: 'Set redis.mode (JWTCTL_REDIS_MODE) to cluster.', details: { nodes: address.nodes } },
  );
}

/** Asks each node by itself, because ioredis does not say why none answered. */
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
  let sentinel: string | null = null;
  for (const [index, outcome] of found.entries()) {
    if (outcome.status === 'fulfilled') {
      outcome.value.client.disconnect();
      if (outcome.value.mode === 'sentinel') sentinel ??= address.nodes[index] ?? null;
      isStandalone ||= outcome.value.mode === 'standalone';
    } else if (replyCode(innermost(reason)) === null) reason = outcome.reason;
  }
  if (sentinel !== null) return isSentinel(sentinel);
  if (!isStandalone) return translateError(reason, address);
  return new JwtctlError(
    'ERR_REDIS_MODE_MISMATCH',
    `Redis at ${address.nodes.join(', ')} is not a cluster, but redis.mode is cluster.`,
    { hint: 'Set redis.mode (JWTCTL_REDIS_MODE) to standalone.', details: { nodes: address.nodes } },
  );
}

function isSentinel(node: string): JwtctlError {
  const message = `Redis at ${node} is a Sentinel, which holds no tokens.`;
  return new JwtctlError('ERR_REDIS_MODE_MISMATCH', message, {
    hint: 'Set redis.mode (JWTCTL_REDIS_MODE) to sentinel, and redis.sentinelMaster to a name that this command lists: redis-cli -p 26379 sentinel masters',
    details: { nodes: [node] },
  });
}

/** Mode and role are null behind a proxy that does not know HELLO. */
async function greet(
  options: RedisOptions,
  node: HostPort,
  timeoutMs: number,
): Promise<{ client: Redis } & Greeting> {
  const client = new Redis({
    ...nodeOptions(options, node),
    // ioredis's own error would not say that the attempt timed out.
    socketTimeout: timeoutMs,
    retryStrategy: () => null,
  });
  // connect() always rejects with "Connection is closed". The event has the reason.
  let reason: unknown;
  client.on('error', (error) => {
    reason ??= error;
  });
  try {
    const greeting = await withDeadline(
      client.connect().then(() => sayHello(client)),
      timeoutMs,
    );
    client.options.socketTimeout = silenceMs(options.timeoutMs);
    return { client, ...greeting };
  } catch (error) {
    client.disconnect();
    const failure = reason ?? error;
    // A port for TLS closes a connection without TLS, and does not say why.
    if (!options.isTls && isClosed(failure) && (await speaksTls(node, timeoutMs)))
      throw needsTls(node, failure);
    throw failure;
  }
}

function isClosed(error: unknown): boolean {
  const cause = innermost(error);
  if (cause instanceof DeadlineError || replyCode(cause) !== null) return false;
  return isVague(cause) || ['ECONNRESET', 'EPIPE'].includes((cause as { code?: string }).code ?? '');
}

function needsTls(node: HostPort, cause: unknown): JwtctlError {
  return new JwtctlError('ERR_REDIS_TLS', `Redis at ${formatNode(node)} accepts only connections with TLS.`, {
    hint: "Write rediss:// in redis.nodes, or set redis.tls.enabled (JWTCTL_REDIS_TLS_ENABLED) to true, or redis.tls.ca to the PEM file of the server's CA.",
    details: { nodes: [formatNode(node)] },
    cause,
  });
}

interface Greeting {
  mode: string | null;
  role: string | null;
}

/** HELLO needs no permission and has a field for the mode. An error of CLUSTER has only words. */
async function sayHello(client: Redis): Promise<Greeting> {
  const reply = await client.call('hello', '2').catch((error: unknown) => {
    if (replyCode(error) === 'ERR') return [];
    throw error;
  });
  const fields: unknown[] = Array.isArray(reply) ? reply : [];
  const field = (name: string) => {
    const value = fields.includes(name) ? fields[fields.indexOf(name) + 1] : null;
    return typeof value === 'string' ? value : null;
  };
  return { mode: field('mode'), role: field('role') };
}
