import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll } from 'vitest';
import {
  openRedisTokenRegistry,
  type RedisTokenRegistryOptions,
} from '../../src/adapters/redis/token-registry.js';
import { IDLE_TIMEOUT_SECONDS } from '../support/embedded.js';
import { freshPrefix, redisNodes, startRedis } from '../support/servers.js';
import { familyContract } from './family-store.contract.js';
import { lastSeenContract } from './last-seen.contract.js';
import { type OpenedRegistry, tokenRegistryContract } from './token-registry.contract.js';
import { fleetContract } from './verifier-roster.contract.js';

const CLOCK_TOLERANCE_SECONDS = 5;

tokenRegistryContract('a Redis Cluster', () => open('cluster', redisNodes()));
fleetContract('a Redis Cluster', () => open('cluster', redisNodes()));
familyContract('a Redis Cluster', () => open('cluster', redisNodes()));
lastSeenContract('a Redis Cluster', () => openBoth('cluster', redisNodes()));

let standalone: Awaited<ReturnType<typeof startRedis>>;
beforeAll(async () => {
  standalone = await startRedis();
});
afterAll(() => standalone.stop());

tokenRegistryContract('a single Redis', () => open('standalone', [standalone.node]));
fleetContract('a single Redis', () => open('standalone', [standalone.node]));
familyContract('a single Redis', () => open('standalone', [standalone.node]));
lastSeenContract('a single Redis', () => openBoth('standalone', [standalone.node]));

async function openBoth(mode: 'cluster' | 'standalone', nodes: string[]) {
  const prefix = freshPrefix();
  const plain = await open(mode, nodes, { prefix });
  const recording = await open(mode, nodes, { prefix, idleTimeoutSeconds: IDLE_TIMEOUT_SECONDS });
  const close = async () => void (await Promise.all([plain.close(), recording.close()]));
  return { ...recording, plain: plain.registry, close };
}

async function open(
  mode: 'cluster' | 'standalone',
  nodes: string[],
  options: Partial<RedisTokenRegistryOptions> = {},
): Promise<OpenedRegistry> {
  const { registry, close } = openRedisTokenRegistry({
    nodes: nodes.map((node) => ({ host: node.split(':')[0] ?? '', port: Number(node.split(':')[1]) })),
    mode,
    prefix: freshPrefix(),
    clockToleranceSeconds: CLOCK_TOLERANCE_SECONDS,
    timeoutMs: 5000,
    ...options,
  });
  return {
    registry,
    now: () => Math.floor(Date.now() / 1000),
    clockToleranceSeconds: CLOCK_TOLERANCE_SECONDS,
    until: async (time) => {
      while (Date.now() < time * 1000) await delay(20);
    },
    close,
  };
}
