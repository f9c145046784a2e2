// @ts-check
import { openServerGroup, startMysql, startRedis, startRedisCluster } from '../../scripts/servers.mjs';
import { openCluster } from './cluster.mjs';
import { checkLayout } from './layout-check.mjs';
import { installProduct } from './product.mjs';

/**
 * The servers of a run, each started when it is first asked for: the product with its MariaDB and its cluster, and a
 * cluster of the same kind for what it is compared with. Neither saves anything to disk.
 *
 * @typedef {object} Stores
 * @property {() => Promise<Installation>} product with an empty cluster
 * @property {() => Promise<import('./cluster.mjs').Cluster>} peer an empty cluster
 * @property {() => Promise<{ host: string, port: number }>} bystander a Redis that has nothing to do
 * @property {() => Promise<void>} stop
 *
 * @typedef {{ product: import('./product.mjs').Product, cluster: import('./cluster.mjs').Cluster, folder: string }} Installation
 */

/** @returns {Stores} */
export function openStores() {
  // A group each: the folders of two clusters in one would have the same names.
  const [own, others] = [openServerGroup(), openServerGroup()];
  /** @type {Array<() => Promise<void>>} */
  const closes = [];

  const product = once(async () => {
    const [mysql, redis] = await Promise.all([startMysql(own), startRedisCluster({}, own)]);
    const cluster = await openCluster(redis.nodes);
    closes.push(cluster.close);
    const installed = await installProduct({
      folder: own.folder,
      mysqlUrl: `${mysql.url}/jwtctl`,
      redisNodes: redis.nodes.map(({ node }) => node),
    });
    closes.push(installed.close);
    await checkLayout(installed, cluster);
    return { product: installed, cluster, folder: own.folder };
  });
  const peer = once(async () => {
    const cluster = await openCluster((await startRedisCluster({}, others)).nodes);
    closes.push(cluster.close);
    return cluster;
  });

  const bystander = once(() => startRedis({}, others));

  return {
    bystander,

    async product() {
      const installation = await product();
      await installation.cluster.wipe();
      return installation;
    },
    async peer() {
      const cluster = await peer();
      await cluster.wipe();
      return cluster;
    },
    async stop() {
      await Promise.allSettled(closes.map((close) => close()));
      await Promise.all([own.stop(), others.stop()]);
    },
  };
}

/**
 * @template T
 * @param {() => Promise<T>} make
 * @returns {() => Promise<T>}
 */
function once(make) {
  /** @type {Promise<T> | undefined} */
  let made;
  return () => {
    made ??= make();
    return made;
  };
}
