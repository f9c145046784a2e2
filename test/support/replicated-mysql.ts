import { setTimeout as delay } from 'node:timers/promises';
import { type Connection, createConnection } from 'mysql2/promise';
import { startMysql } from './servers.js';

/** One server of a pair. */
export interface PairedMysql {
  /** Includes the database, for an account to which `read_only` applies. */
  url: string;
  /** Runs a statement with all privileges. */
  query(sql: string): Promise<Array<Record<string, unknown>>>;
}

/** A primary and its replica, MariaDB or MySQL, in the database `jwtctl`. */
export interface ReplicatedMysql {
  a: PairedMysql;
  b: PairedMysql;
  /** Resolves once B has all changes of A. */
  replicated(): Promise<void>;
  /** Makes A read-only, and makes B stop replicating and accept writes. */
  switchOver(): Promise<void>;
  stop(): Promise<void>;
}

const PASSWORD = 'app-password';
/** MariaDB always uses GTIDs, and ignores these unknown options. */
const GTIDS = ['--loose-gtid-mode=ON', '--loose-enforce-gtid-consistency=ON'];

/** Starts a primary A and its read-only replica B. */
export async function startReplicatedMysql(): Promise<ReplicatedMysql> {
  const args = (id: number) => ({ args: [`--server-id=${id}`, '--log-bin=binlog', ...GTIDS] });
  const servers = await Promise.all([startMysql(undefined, args(1)), startMysql(undefined, args(2))]);
  const [a, b] = await Promise.all(servers.map(({ url }) => createConnection(url)));
  if (a === undefined || b === undefined) throw new Error('Two servers were started.');
  const [row] = await rows(a, 'SELECT version() AS version');
  const dialect = /MariaDB/.test(String(row?.version)) ? MARIADB : MYSQL;
  for (const server of [a, b]) {
    await server.query(`CREATE USER app@'%' IDENTIFIED BY '${PASSWORD}'`);
    await server.query("GRANT ALL ON jwtctl.* TO app@'%'");
    await server.query(dialect.reset);
  }
  const primary = new URL(servers[0]?.url ?? '');
  await b.query(dialect.follow(primary));
  await b.query(dialect.start);
  await b.query('SET GLOBAL read_only = ON');

  const replicated = async () => {
    const deadline = Date.now() + 20_000;
    const positionOf = async (server: Connection) =>
      String((await rows(server, dialect.position))[0]?.position);
    while ((await positionOf(a)) !== (await positionOf(b))) {
      if (Date.now() > deadline) throw new Error(JSON.stringify(await rows(b, dialect.status)));
      await delay(20);
    }
  };
  const paired = (url: string, server: Connection): PairedMysql => {
    const own = new URL(url);
    own.username = 'app';
    own.password = PASSWORD;
    own.pathname = '/jwtctl';
    return { url: own.href, query: (sql) => rows(server, sql) };
  };
  return {
    a: paired(servers[0]?.url ?? '', a),
    b: paired(servers[1]?.url ?? '', b),
    replicated,
    switchOver: async () => {
      await a.query('SET GLOBAL read_only = ON');
      await replicated();
      await b.query(dialect.stop);
      await b.query('SET GLOBAL read_only = OFF');
    },
    stop: async () => {
      a.destroy();
      b.destroy();
      await Promise.all(servers.map((server) => server.stop()));
    },
  };
}

interface Dialect {
  reset: string;
  follow(primary: URL): string;
  start: string;
  stop: string;
  status: string;
  /** Selects the position that a server has committed or applied. */
  position: string;
}

const MARIADB: Dialect = {
  reset: 'RESET MASTER',
  follow: ({ hostname, port, username, password }) =>
    `CHANGE MASTER TO MASTER_HOST='${hostname}', MASTER_PORT=${port}, MASTER_USER='${username}',
      MASTER_PASSWORD='${password}', MASTER_USE_GTID=slave_pos`,
  start: 'START SLAVE',
  stop: 'STOP SLAVE',
  status: 'SHOW SLAVE STATUS',
  position: 'SELECT @@gtid_current_pos AS position',
};

const MYSQL: Dialect = {
  reset: 'RESET BINARY LOGS AND GTIDS',
  follow: ({ hostname, port, username, password }) =>
    `CHANGE REPLICATION SOURCE TO SOURCE_HOST='${hostname}', SOURCE_PORT=${port}, SOURCE_USER='${username}',
      SOURCE_PASSWORD='${password}', GET_SOURCE_PUBLIC_KEY=1, SOURCE_AUTO_POSITION=1`,
  start: 'START REPLICA',
  stop: 'STOP REPLICA',
  status: 'SHOW REPLICA STATUS',
  position: 'SELECT @@global.gtid_executed AS position',
};

async function rows(connection: Connection, sql: string): Promise<Array<Record<string, unknown>>> {
  const [found] = await connection.query(sql);
  return found as Array<Record<string, unknown>>;
}
