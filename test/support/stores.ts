import { randomBytes } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Cluster } from 'ioredis';
import Database from 'libsql';
import { createConnection } from 'mysql2/promise';
import { type Cli, cli } from './cli.js';
import { administer, freshMysqlDatabase, freshPrefix, redisNodes } from './servers.js';

/** The two pairs of stores that most tests of the command line run on. */
export const BACKENDS = ['SQLite', 'MariaDB and a Redis Cluster'] as const;
export type BackendName = (typeof BACKENDS)[number];

type Row = Record<string, unknown>;

/** A command line over its own empty stores, and access to them without the code under test. */
export interface Stores extends Cli {
  readonly isCluster: boolean;
  query(sql: string, parameters?: readonly string[]): Promise<Row[]>;
  /** Returns all rows of all tables and all keys in Redis, to show that a command changes nothing. */
  content(): Promise<string>;
  /** With a cluster: its client, the registry's prefix, and its keys by master. */
  readonly redis: { client: Cluster; prefix: string; keys(): Promise<Map<string, string[]>> } | null;
  close(): Promise<void>;
}

/**
 * Opens empty stores with their schema.
 *
 * @param leastRights whether the accounts of the servers have exactly the rights that `jwtctl init` prints
 */
export function openStores(
  backend: BackendName,
  env: Record<string, string> = {},
  { leastRights = false } = {},
): Promise<Stores> {
  return backend === 'SQLite' ? openEmbedded(env) : openServers(env, leastRights);
}

const TABLES = [
  ...['keystore', 'keystore_revision', 'users', 'security_log', 'audit_log', 'audit_head'],
  'event_consumers',
  ...['registry_entries', 'registry_users', 'registry_families'],
];

async function openEmbedded(env: Record<string, string>): Promise<Stores> {
  const shell = cli({ env });
  const file = join(shell.home, 'data', 'jwtctl', 'jwtctl.db');
  const query = async (sql: string, parameters: readonly string[] = []): Promise<Row[]> => {
    const database = new Database(file, { timeout: 5_000 });
    try {
      const statement = database.prepare(sql);
      if (statement.reader) return statement.all([...parameters]) as Row[];
      statement.run([...parameters]);
      return [];
    } finally {
      database.close();
    }
  };
  const content = async () =>
    JSON.stringify(await Promise.all(TABLES.map((table) => query(`SELECT * FROM ${table}`))));
  return { ...shell, isCluster: false, query, content, redis: null, close: async () => {} };
}

async function openServers(env: Record<string, string>, leastRights: boolean): Promise<Stores> {
  const database = await freshMysqlDatabase();
  const prefix = freshPrefix();
  const shell = cli({
    env: {
      JWTCTL_MYSQL_URL: database.url,
      JWTCTL_REDIS_NODES: redisNodes().join(','),
      JWTCTL_REDIS_PREFIX: prefix,
      ...env,
    },
  });
  if (env.JWTCTL_MASTER_KEY_FILE === undefined) {
    shell.env.JWTCTL_MASTER_KEY_FILE = writeMasterKey(shell.home);
  }
  const connection = await createConnection({
    uri: database.url,
    // VARBINARY would be a Buffer.
    typeCast: (field, next) => (/STRING$/.test(field.type) ? field.string('utf8') : next()),
  });
  const client = connectCluster();
  const dropAccounts = leastRights ? await createAccounts(shell, client) : async () => {};

  const query = async (sql: string, parameters: readonly string[] = []): Promise<Row[]> => {
    const [rows] = await connection.query(sql, [...parameters]);
    return rows as Row[];
  };
  const keys = () => keysByMaster(client, `${prefix}:`);
  const content = async () => {
    const rows = await Promise.all(TABLES.slice(0, 7).map((table) => query(`SELECT * FROM ${table}`)));
    // A running verifier writes its heartbeat there every two seconds.
    const names = [...(await keys()).values()]
      .flat()
      .filter((name) => !name.endsWith(':fleet'))
      .sort();
    const sets = await Promise.all(
      names.map((name) =>
        /\}$|:events:\d+$/.test(name) ? client.zrange(name, '0', '-1', 'WITHSCORES') : client.hgetall(name),
      ),
    );
    return JSON.stringify([rows, names, sets]);
  };
  const close = async () => {
    for (const name of [...(await keys()).values()].flat()) await client.unlink(name);
    await dropAccounts();
    client.disconnect();
    await connection.end();
    await database.drop();
  };
  await shell.json('db', 'migrate');
  return { ...shell, isCluster: true, query, content, redis: { client, prefix, keys }, close };
}

/** Runs the statements that `jwtctl init` prints, and makes the command line use these accounts. */
async function createAccounts(shell: Cli, client: Cluster): Promise<() => Promise<void>> {
  const { env } = shell;
  const url = new URL(String(env.JWTCTL_MYSQL_URL));
  const user = url.pathname.slice(1);
  Object.assign(url, { username: user, password: 'least' });
  Object.assign(env, {
    JWTCTL_MYSQL_URL: url.href,
    JWTCTL_REDIS_USERNAME: user,
    JWTCTL_REDIS_PASSWORD: 'least',
  });
  const printed = async (account: string) => (await shell.run('init', '--print-grants', account)).lines();
  await administer(
    ...(await printed('operator')).map((statement) => statement.replace('<password>', "'least'")),
  );
  const [acl = ''] = await printed('redis');
  const [command = '', ...words] = acl.replace('<password>', 'least').split(' ');
  if (client.status !== 'ready') await new Promise((resolve) => client.once('ready', resolve));
  const nodes = client.nodes('all');
  for (const node of nodes) await node.call(command, ...words);
  return async () => {
    for (const node of nodes) await node.call('ACL', 'DELUSER', user);
    await administer(`DROP USER '${user}'`);
  };
}

/** Creates a keyring of one new master key. */
export function writeMasterKey(folder: string, name = 'master.key'): string {
  const file = join(folder, name);
  writeFileSync(file, `${randomBytes(32).toString('base64')}\n`, { mode: 0o600 });
  return file;
}

function connectCluster(): Cluster {
  const nodes = redisNodes().map((node) => ({ host: node.split(':')[0], port: Number(node.split(':')[1]) }));
  return new Cluster(nodes as Array<{ host: string; port: number }>);
}

/** Returns the names that begin with `start`, by the master that holds them. */
async function keysByMaster(client: Cluster, start: string): Promise<Map<string, string[]>> {
  if (client.status !== 'ready') await new Promise((resolve) => client.once('ready', resolve));
  const found = new Map<string, string[]>();
  for (const master of client.nodes('master')) {
    const names = new Set<string>();
    let cursor = '0';
    do {
      const [next, page] = await master.scan(cursor, 'MATCH', `${start}*`, 'COUNT', 1_000);
      for (const name of page) names.add(name);
      cursor = next;
    } while (cursor !== '0');
    found.set(`${master.options.host}:${master.options.port}`, [...names]);
  }
  return found;
}
