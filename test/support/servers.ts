import { randomBytes } from 'node:crypto';
import { createConnection } from 'mysql2/promise';
import { inject } from 'vitest';

export {
  openServerGroup,
  startMysql,
  startNginx,
  startRedis,
  startRedisCluster,
} from '../../scripts/servers.mjs';

/** A new, empty database on the MySQL server of this test run. */
export async function freshMysqlDatabase(): Promise<{ url: string; drop: () => Promise<void> }> {
  const name = `jwtctl_${randomBytes(6).toString('hex')}`;
  await administer(`CREATE DATABASE ${name}`);
  const url = new URL(mysqlUrl());
  url.pathname = `/${name}`;
  return { url: url.href, drop: () => administer(`DROP DATABASE IF EXISTS ${name}`) };
}

/** An account that may create databases, without a database: `mysql://user:password@host:port`. */
export function mysqlUrl(): string {
  return inject('mysqlUrl');
}

/** The PEM file of the CA behind the MySQL server's certificate; null for a server that was there before the run. */
export function mysqlCa(): string | null {
  return inject('mysqlCa');
}

/** `host:port` of each node of the Redis Cluster of this test run, which tests share: each uses a prefix of its own. */
export function redisNodes(): string[] {
  return inject('redisNodes');
}

/** A registry prefix that no other test uses. */
export function freshPrefix(): string {
  return `t${randomBytes(4).toString('hex')}`;
}

async function administer(statement: string): Promise<void> {
  const connection = await createConnection(mysqlUrl());
  try {
    await connection.query(statement);
  } finally {
    await connection.end();
  }
}
