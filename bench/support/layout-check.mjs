// @ts-check
import { productKey, productLayout } from './layouts.mjs';
import { printed } from './product.mjs';

/**
 * @typedef {import('./cluster.mjs').Cluster} Cluster
 * @typedef {import('./product.mjs').Product} Product
 * @typedef {import('./tokens.mjs').Entry} Entry
 */

/** How many tokens some subjects get, and how long they live. */
const SAMPLE = [['1h'], ['4h', '12h', '1h', '24h']];

/**
 * What the benchmark fills in has to be what the product leaves, or it measures something that nobody has: a few tokens
 * are issued, their keys read, and written again by {@link productLayout}.
 *
 * @param {Product} product
 * @param {Cluster} cluster
 * @throws where one byte or one second differs
 */
export async function checkLayout(product, cluster) {
  for (const [index, ttls] of SAMPLE.entries()) {
    const sub = `layout${index}@example.com`;
    const key = productKey(sub);
    /** @type {Entry[]} */
    const entries = [];
    for (const ttl of ttls) {
      const args = ['token', 'issue', '--sub', sub, '--ttl', ttl, '--create-user', '--json'];
      const { jti, iat, exp } = printed(await product.run(args));
      entries.push({ keyId: product.keys[0].id, iat, jti, exp });
    }
    const issued = await state(cluster, key);
    await cluster.masterOf(key).client.del(key);
    await cluster.write(productLayout({ sub, entries }));
    const written = await state(cluster, key);
    if (issued !== written) {
      throw new Error(
        `What \`token issue\` leaves is not what bench/support/layouts.mjs writes:\n${issued}\n${written}`,
      );
    }
  }
}

/**
 * The bytes of a key, when it expires, and all names beside it.
 *
 * @param {Cluster} cluster
 * @param {string} key
 */
async function state(cluster, key) {
  const { client } = cluster.masterOf(key);
  const names = (await client.keys(`${key}*`)).sort();
  const [type, encoding, expiresAt, dump, members] = await Promise.all([
    client.type(key),
    client.object('ENCODING', key),
    client.pexpiretime(key),
    client.dumpBuffer(key),
    client.zrange(key, '0', '-1', 'WITHSCORES'),
  ]);
  return JSON.stringify({ names, type, encoding, expiresAt, dump: dump?.toString('hex'), members });
}
