import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { Redis } from 'ioredis';
import { openServerGroup, startRedisCluster } from './servers.js';

/** One node of a pair, with a client that is not the code under test and follows no redirects. */
export interface PairedNode {
  /** `host:port` */
  node: string;
  client: Redis;
}

/** A Redis Cluster of three masters with a replica each. The test kills masters and starts them again as replicas. */
export interface FailingCluster {
  nodes: string[];
  /** The master that serves a third of the slots, and its replica. */
  pair(third: number): { master: PairedNode; replica: PairedNode };
  /** Resolves once the replica has all data of its master. */
  replicated(third: number): Promise<void>;
  /** Stops the replication, so that later writes to the master are lost with it. */
  cut(third: number): Promise<void>;
  /** Kills the master with SIGKILL. Resolves once its replica has taken over and all other nodes know. */
  failOver(third: number): Promise<void>;
  /** Starts the killed node. Resolves once it is a replica with all data and all other nodes know. */
  rejoin(third: number): Promise<void>;
  /** Kills both nodes of a pair with SIGKILL. The others keep serving their slots. */
  lose(third: number): Promise<void>;
  stop(): Promise<void>;
}

const PATIENCE_MS = 30_000;
const THIRDS = 3;

export async function startFailingCluster(): Promise<FailingCluster> {
  const group = openServerGroup();
  const { nodes } = await startRedisCluster({ nodeTimeoutMs: 2_000 }, group);
  const running = nodes.map(({ node, stop }) => ({ node, stop, client: connect(node) }));
  /** Maps each third to its current master. */
  const masters = [0, 1, 2];
  const indexes = (third: number) => {
    const master = masters[third] as number;
    return { master, replica: (master + THIRDS) % nodes.length };
  };
  const at = (index: number) => running[index] as (typeof running)[number];
  const pair = (third: number) => {
    const { master, replica } = indexes(third);
    return { master: at(master), replica: at(replica) };
  };
  const allAgree = async () => {
    const views = await Promise.all(running.map(({ client }) => client.cluster('NODES') as Promise<string>));
    return views.every((view) => view.trim().split('\n').length === nodes.length && !/fail/.test(view));
  };

  return {
    nodes: nodes.map(({ node }) => node),
    pair,
    replicated: (third) =>
      eventually('the replica has what its master has', async () => {
        const info = await pair(third).master.client.info('replication');
        const own = /^master_repl_offset:(\d+)/m.exec(info)?.[1];
        return new RegExp(`^slave0:.*state=online,offset=${own},`, 'm').test(info);
      }),
    cut: async (third) => {
      const { master, replica } = pair(third);
      // A password that is not expected makes replication fail. The replica retries until the password is removed.
      await replica.client.config('SET', 'masterauth', 'cut');
      await master.client.call('CLIENT', 'KILL', 'TYPE', 'replica');
      await eventually('the replica is cut off', async () =>
        /^connected_slaves:0/m.test(await master.client.info('replication')),
      );
    },
    failOver: async (third) => {
      const { master, replica } = indexes(third);
      at(master).client.disconnect();
      await at(master).stop();
      await at(replica).client.cluster('FAILOVER', 'TAKEOVER');
      masters[third] = replica;
      const id = (await at(replica).client.cluster('MYID')) as string;
      const others = running.filter((_, index) => index !== master);
      await eventually('the others know the new master', async () => {
        const views = await Promise.all(
          others.map(({ client }) => client.cluster('NODES') as Promise<string>),
        );
        return views.every((view) => new RegExp(`^${id} \\S+ (myself,)?master .*\\d-\\d`, 'm').test(view));
      });
    },
    rejoin: async (third) => {
      const { replica: index, master } = indexes(third);
      const name = `redis-${index + 1}`;
      const { stop } = await group.launch({
        name,
        program: 'redis-server',
        args: [join(group.folder, name, 'redis.conf')],
      });
      running[index] = { node: at(index).node, stop, client: connect(at(index).node) };
      await at(master).client.config('SET', 'masterauth', '');
      await eventually('it follows its new master', async () =>
        /^role:slave[\s\S]*^master_link_status:up/m.test(await at(index).client.info('replication')),
      );
      await eventually('all agree', allAgree);
    },
    lose: async (third) => {
      const { master, replica } = indexes(third);
      for (const { client } of running) {
        await client.config('SET', 'cluster-require-full-coverage', 'no');
      }
      for (const index of [replica, master]) {
        at(index).client.disconnect();
        await at(index).stop();
      }
    },
    stop: async () => {
      for (const { client } of running) client.disconnect();
      await group.stop();
    },
  };
}

function connect(node: string): Redis {
  const [host = '', port] = node.split(':');
  return new Redis({ host, port: Number(port), lazyConnect: false });
}

async function eventually(statement: string, isTrue: () => Promise<boolean>): Promise<void> {
  const deadline = Date.now() + PATIENCE_MS;
  while (!(await isTrue())) {
    if (Date.now() > deadline) throw new Error(`Still not true after ${PATIENCE_MS} ms: ${statement}.`);
    await delay(10);
  }
}
