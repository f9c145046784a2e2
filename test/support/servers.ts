import { randomBytes } from 'node:crypto';
import { createConnection } from 'mysql2/promise';
import { inject } from 'vitest';

export {
  findMysql,
  openServerGroup,
  startMysql,
  startNginx,
  startRedis,
  startRedisCluster,
} from '../../scripts/servers.mjs';

/** Creates an empty database on the MySQL server of this test run. */
export async function freshMysqlDatabase(): Promise<{ url: string; drop: () => Promise<void> }> {
  const name = `jwtctl_${randomBytes(6).toString('hex')}`;
  await administer(`CREATE DATABASE ${name}`);
  const url = new URL(mysqlUrl());
  url.pathname = `/${name}`;
  return { url: url.href, drop: () => administer(`DROP DATABASE IF EXISTS ${name}`) };
}

/** Returns the URL of an account that may create databases, without a database. */
export function mysqlUrl(): string {
  return inject('mysqlUrl');
}

/** Returns the PEM file of the CA of the MySQL server's certificate; null for a server that was started before the run. */
export function mysqlCa(): string | null {
  return inject('mysqlCa');
}

/** Returns `host:port` of each node of the Redis Cluster. Tests share it, and each uses its own prefix. */
export function redisNodes(): string[] {
  return inject('redisNodes');
}

/** Returns a registry prefix that no other test uses. */
export function freshPrefix(): string {
  return `t${randomBytes(4).toString('hex')}`;
}

/** Runs SQL statements as the account that may create databases. */
export async function administer(...statements: string[]): Promise<void> {
  const connection = await createConnection(mysqlUrl());
  try {
    for (const statement of statements) await connection.query(statement);
  } finally {
    await connection.end();
  }
}
