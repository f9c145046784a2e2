import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, expect, test } from 'vitest';
import {
  attempt,
  entryAt,
  openRegistry,
  parseNode,
  realNow,
  redisCli,
  scanAll,
} from '../adapters/redis/registry-under-test.js';
import { makeCertificateAuthority } from '../support/certificates.js';
import { cli } from '../support/cli.js';
import { freePort } from '../support/free-port.js';
import { registerOne } from '../support/registering.js';
import { startRedisCluster } from '../support/servers.js';
import { openStores, type Stores } from '../support/stores.js';

let stores: Stores;
let cluster: Awaited<ReturnType<typeof startRedisCluster>>;
const ca = makeCertificateAuthority('jwtctl test CA');
/** Maps each reported address and port to the TLS port on `host`. */
const mapTo = (host: string) => [...tlsPorts].map(([node, port]) => `${node}=${host}:${port}`).join(',');
const tlsPorts = new Map<string, number>();

beforeAll(async () => {
  [stores, cluster] = await Promise.all([
    openStores('MariaDB and a Redis Cluster'),
    startRedisCluster({ replicasPerMaster: 0 }),
  ]);
  const { cert, key } = ca.issue({ names: 'DNS:localhost' });
  for (const { node } of cluster.nodes) {
    const port = await freePort();
    const files = ['tls-ca-cert-file', ca.file, 'tls-cert-file', cert, 'tls-key-file', key];
    await redisCli(node, 'CONFIG', 'SET', 'tls-port', port, ...files, 'tls-auth-clients', 'no');
    tlsPorts.set(node, port);
    tlsPorts.set(`127.0.0.1:${port}`, port);
  }
}, 60_000);
afterAll(async () => {
  await Promise.all([stores?.close(), cluster?.stop()]);
});

function inspect(natMap: string) {
  const env = {
    ...stores.env,
    ...{ JWTCTL_REDIS_NODES: `localhost:${[...tlsPorts.values()][0]}`, JWTCTL_REDIS_NAT_MAP: natMap },
    ...{ JWTCTL_REDIS_TLS_CA: ca.file, JWTCTL_TIMEOUT: '3s' },
  };
  return cli({ env }).run('cache', 'inspect', '--json');
}

test('redis.natMap maps the addresses of a TLS cluster to names', async () => {
  const { exitCode, json } = await inspect(mapTo('localhost'));
  expect({ exitCode, complete: json().complete }).toEqual({ exitCode: 0, complete: true });
});

test('a TLS cluster whose addresses are not in its certificates is refused, and the error names one', async () => {
  const result = await inspect(mapTo('127.0.0.1'));
  expect(result).toMatchObject({ exitCode: 4, stdout: '' });
  const { code, message, hint } = result.error();
  expect(code).toBe('ERR_REDIS_TLS');
  expect(message).toMatch(
    /^The certificate of Redis at 127\.0\.0\.1:\d+ is for localhost, not for 127\.0\.0\.1\.$/,
  );
  expect(hint).toContain('redis.natMap');
});

test('no command accepts cluster addresses that are not in its certificates', async () => {
  const natMap = Object.fromEntries([...tlsPorts].map(([node, port]) => [node, { host: '127.0.0.1', port }]));
  const tls = { ca: readFileSync(ca.file, 'utf8') };
  const { codes, text } = await attempt([`localhost:${[...tlsPorts.values()][0]}`], { natMap, tls });
  expect(codes).toEqual(['unavailable ERR_REDIS_TLS']);
  expect(text).toContain('redis.natMap');
});

test.each([
  'unknown-endpoint',
  // The nodes report `?`, because cluster-announce-hostname is not set.
  'hostname',
])('a cluster that reports no endpoints is reached at the host of the seed node: %s', async (type) => {
  for (const { node } of cluster.nodes)
    await redisCli(node, 'CONFIG', 'SET', 'cluster-preferred-endpoint-type', type);
  const [{ node: seed } = { node: '' }] = cluster.nodes;
  const { registry, close } = openRegistry([`localhost:${parseNode(seed).port}`]);
  try {
    const now = realNow();
    const subs = Array.from({ length: 30 }, (_, index) => `user-${index}`);
    await Promise.all(subs.map((sub) => registerOne(registry, sub, entryAt(now, 'a'), { now })));
    const { complete, subjects, nodes } = await scanAll(registry, now);
    expect({ complete, count: subjects.length }).toEqual({ complete: true, count: 30 });
    const names = cluster.nodes.map(({ node }) => `localhost:${parseNode(node).port}`).sort();
    expect(nodes.map(({ node }) => node).sort()).toEqual(names);
    expect((await registry.nodes()).map(({ node, reachable }) => [node, reachable])).toEqual(
      expect.arrayContaining(names.map((name) => [name, true])),
    );
  } finally {
    await close();
  }
});
