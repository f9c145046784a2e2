// @ts-check
import { execFile } from 'node:child_process';
import { setTimeout as delay } from 'node:timers/promises';
import { promisify } from 'node:util';
import { requireProgram } from '../programs.mjs';
import { makeCertificates } from './certificates.mjs';
import { startOnFreePorts } from './free-ports.mjs';
import { launchRedis, tlsLines } from './redis.mjs';
import { openServerGroup } from './server-group.mjs';

/**
 * @typedef {import('../servers.mjs').RedisServer} RedisServer
 * @typedef {RedisServer & { busPort: number }} Node
 */

const run = promisify(execFile);
const HASH_SLOTS = 16_384;
const AGREEMENT_TIMEOUT_MS = 60_000;

/** @type {typeof import('../servers.mjs').startRedisCluster} */
export async function startRedisCluster(options = {}, group) {
  const { masters = 3, replicasPerMaster = 1, nodeTimeoutMs = 2000, config = [] } = options;
  const own = group ?? openServerGroup();
  try {
    const tls = options.tls === 'on' ? await makeCertificates(own, own.makeFolder('redis-tls')) : null;
    const names = Array.from(
      { length: masters * (1 + replicasPerMaster) },
      (_, index) => `redis-${index + 1}`,
    );
    const nodes = await Promise.all(names.map((name) => launchNode(own, name, tls, nodeTimeoutMs, config)));
    await formCluster(nodes, masters);
    return {
      nodes,
      tls,
      async stop() {
        await Promise.all(nodes.map((node) => node.stop()));
        if (!group) await own.stop();
      },
    };
  } catch (error) {
    if (!group) await own.stop();
    throw error;
  }
}

/**
 * @param {import('../servers.mjs').ServerGroup} group
 * @param {string} name
 * @param {import('../servers.mjs').TlsFiles | null} tls
 * @param {number} nodeTimeoutMs
 * @param {string[]} config
 * @returns {Promise<Node>}
 */
function launchNode(group, name, tls, nodeTimeoutMs, config) {
  return startOnFreePorts(2, async (port, busPort) => {
    const server = await launchRedis(group, name, port, [
      ...(tls === null
        ? [`port ${port}`]
        : [...tlsLines(port, tls, false), 'tls-cluster yes', 'tls-replication yes']),
      // Named, because its default, the port plus 10000, may be taken or beyond 65535.
      `cluster-port ${busPort}`,
      'cluster-enabled yes',
      `cluster-node-timeout ${nodeTimeoutMs}`,
      // By default a master waits 5 s for more replicas before it sends them its data.
      'repl-diskless-sync-delay 0',
      // A replica is not listed before its offset has moved, which takes 10 s by default where nothing is written.
      'repl-ping-replica-period 1',
      ...config,
    ]);
    return { ...server, tls, busPort };
  });
}

/**
 * What `redis-cli --cluster create` does, without its pauses of a second.
 *
 * @param {Node[]} nodes masters first
 * @param {number} masterCount
 */
async function formCluster(nodes, masterCount) {
  const masters = nodes.slice(0, masterCount);
  const replicas = nodes.slice(masterCount);

  await Promise.all(
    masters.map(async (master, index) => {
      const first = Math.ceil((index * HASH_SLOTS) / masterCount);
      const last = Math.ceil(((index + 1) * HASH_SLOTS) / masterCount) - 1;
      // Distinct epochs from the start; equal ones would be a conflict that the nodes have to resolve.
      await command(master, 'CLUSTER', 'SET-CONFIG-EPOCH', String(index + 1));
      await command(master, 'CLUSTER', 'ADDSLOTSRANGE', String(first), String(last));
    }),
  );

  // Each pair is introduced, so that nobody has to wait for gossip.
  for (const [index, node] of nodes.entries()) {
    await Promise.all(
      nodes
        .slice(index + 1)
        .map((other) =>
          command(node, 'CLUSTER', 'MEET', other.host, String(other.port), String(other.busPort)),
        ),
    );
  }

  await Promise.all(
    replicas.map(async (replica, index) => {
      const master = /** @type {Node} */ (masters[index % masterCount]);
      const id = (await command(master, 'CLUSTER', 'MYID')).trim();
      await eventually(`${replica.node} knows ${master.node}`, async () =>
        new RegExp(`^${id} .* master .* connected`, 'm').test(await command(replica, 'CLUSTER', 'NODES')),
      );
      await command(replica, 'CLUSTER', 'REPLICATE', id);
    }),
  );

  await Promise.all([
    ...nodes.map((node) =>
      eventually(`${node.node} sees the whole cluster`, async () => {
        const info = await command(node, 'CLUSTER', 'INFO');
        const listed = (await command(node, 'CLUSTER', 'SLOTS')).match(/^[0-9a-f]{40}$/gm) ?? [];
        return /^cluster_state:ok/m.test(info) && listed.length === nodes.length;
      }),
    ),
    ...replicas.map((replica) =>
      eventually(`${replica.node} follows its master`, async () =>
        /^master_link_status:up/m.test(await command(replica, 'INFO', 'replication')),
      ),
    ),
  ]);
}

/**
 * @param {RedisServer} server
 * @param {string[]} words
 */
async function command(server, ...words) {
  // -e: an error reply is a failure.
  const tls = server.tls === null ? [] : ['--tls', '--cacert', server.tls.ca];
  const args = ['-e', ...tls, '-h', server.host, '-p', String(server.port), ...words];
  const { stdout } = await run(requireProgram('redis-cli'), args, { timeout: 10_000 });
  return stdout;
}

/**
 * @param {string} statement
 * @param {() => Promise<boolean>} isTrue
 */
async function eventually(statement, isTrue) {
  const deadline = Date.now() + AGREEMENT_TIMEOUT_MS;
  while (!(await isTrue())) {
    if (Date.now() > deadline)
      throw new Error(`Still not true after ${AGREEMENT_TIMEOUT_MS} ms: ${statement}.`);
    await delay(50);
  }
}
