import { join } from 'node:path';
import type { TestProject } from 'vitest/node';
import { openServerGroup, startMysql, startRedisCluster } from '../../scripts/servers.mjs';
import { writePool } from './key-pair-pool.js';

declare module 'vitest' {
  export interface ProvidedContext {
    /** The URL of an account that may create databases, without a database: `mysql://user:password@host:port`. */
    mysqlUrl: string;
    /** The PEM file of the CA of the MySQL server's certificate; null for a server that was started before the run. */
    mysqlCa: string | null;
    /** `host:port` of each node of the Redis Cluster. */
    redisNodes: string[];
    /** The file of {@link writePool}. */
    keyPairPool: string;
  }
}

/** Finds or starts the servers, and hides the developer's own settings. Runs once, before the first test. */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const givenMysqlUrl = process.env.JWTCTL_TEST_MYSQL_URL;
  const givenRedisNodes = process.env.JWTCTL_TEST_REDIS_NODES?.split(',').map((node) => node.trim());
  const group = openServerGroup();
  try {
    isolateSettings(group.makeFolder('home'));
    const [mysql, cluster, keyPairPool] = await Promise.all([
      givenMysqlUrl ? null : startMysql(group),
      givenRedisNodes ? null : startRedisCluster({}, group),
      writePool(join(group.makeFolder('key-pairs'), 'pool.json')),
    ]);
    project.provide('mysqlUrl', mysql?.url ?? givenMysqlUrl ?? '');
    project.provide('mysqlCa', mysql?.tls.ca ?? null);
    project.provide('redisNodes', cluster?.nodes.map(({ node }) => node) ?? givenRedisNodes ?? []);
    project.provide('keyPairPool', keyPairPool);
    return group.stop;
  } catch (error) {
    await group.stop();
    throw error;
  }
}

/** Removes settings in the developer's environment and home folder. */
function isolateSettings(home: string): void {
  for (const name of Object.keys(process.env)) {
    if (/^JWTCTL_(?!TEST_)|^XDG_|^(NO|FORCE)_COLOR$/.test(name)) delete process.env[name];
  }
  for (const kind of ['CONFIG', 'DATA', 'STATE', 'CACHE'])
    process.env[`XDG_${kind}_HOME`] = `${home}/${kind}`;
}
