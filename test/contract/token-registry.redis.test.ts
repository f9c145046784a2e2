import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll } from 'vitest';
import { openRedisTokenRegistry } from '../../src/adapters/redis/token-registry.js';
import { freshPrefix, redisNodes, startRedis } from '../support/servers.js';
import { familyContract } from './family-store.contract.js';
import { type OpenedRegistry, tokenRegistryContract } from './token-registry.contract.js';
import { fleetContract } from './verifier-roster.contract.js';

const CLOCK_TOLERANCE_SECONDS = 5;

tokenRegistryContract('a Redis Cluster', () => open('cluster', redisNodes()));
fleetContract('a Redis Cluster', () => open('cluster', redisNodes()));
familyContract('a Redis Cluster', () => open('cluster', redisNodes()));

let standalone: Awaited<ReturnType<typeof startRedis>>;
beforeAll(async () => {
  standalone = await startRedis();
});
afterAll(() => standalone.stop());

tokenRegistryContract('a single Redis', () => open('standalone', [standalone.node]));
fleetContract('a single Redis', () => open('standalone', [standalone.node]));
familyContract('a single Redis', () => open('standalone', [standalone.node]));

async function open(mode: 'cluster' | 'standalone', nodes: string[]): Promise<OpenedRegistry> {
  const { registry, close } = openRedisTokenRegistry({
    nodes: nodes.map((node) => ({ host: node.split(':')[0] ?? '', port: Number(node.split(':')[1]) })),
    mode,
    prefix: freshPrefix(),
    clockToleranceSeconds: CLOCK_TOLERANCE_SECONDS,
    timeoutMs: 5000,
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
