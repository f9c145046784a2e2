/** PEM files. The CA signed the server's certificate, which names 127.0.0.1 and localhost; it serves as a client's, too. */
export interface TlsFiles {
  ca: string;
  cert: string;
  key: string;
}

export interface Server {
  host: string;
  port: number;
  pid: number;
  /** The file that the server writes its log to. */
  log: string;
  /** Ends the server and waits until it is gone. May be called again. */
  stop(): Promise<void>;
}

/** MariaDB or MySQL. Its port also speaks TLS. */
export interface MysqlServer extends Server {
  /** An account that may do everything, without a database: `mysql://user:password@host:port`. */
  url: string;
  tls: TlsFiles;
}

export interface RedisServer extends Server {
  /** `host:port`. */
  node: string;
  /** Null where the port speaks plain text. Otherwise it speaks nothing but TLS. */
  tls: TlsFiles | null;
}

export interface RedisCluster {
  /** Masters first; the replicas follow in the order of their masters. */
  nodes: RedisServer[];
  /** Null where the nodes speak plain text. */
  tls: TlsFiles | null;
  /** Ends every node. */
  stop(): Promise<void>;
}

export interface RedisOptions {
  /** Only TLS is spoken; with `clients-authenticate` a client has to show a certificate of the same CA. Default: off. */
  tls?: 'off' | 'on' | 'clients-authenticate';
  /** The only account, which may do everything. Without a name the password is the default user's. Default: no password. */
  user?: { name?: string; password: string };
  /** More lines for `redis.conf`. */
  config?: string[];
}

export interface RedisClusterOptions {
  /** Default 3. */
  masters?: number;
  /** Default 1. */
  replicasPerMaster?: number;
  /** With `on`, the nodes speak only TLS, also to each other. Default: off. */
  tls?: 'off' | 'on';
  /** After how much silence a node counts as failing. Default 2000. */
  nodeTimeoutMs?: number;
  /** More lines for each `redis.conf`. */
  config?: string[];
}

/**
 * Servers that live in one temporary folder. The folder and all that runs in it are gone after `stop()`, and also when
 * this process ends in any other way, by SIGKILL too.
 */
export interface ServerGroup {
  folder: string;
  /** Starts a program and resolves once its log says that it accepts connections. */
  launch(options: {
    /** The server's folder within the group's. */
    name: string;
    program: string;
    args: string[];
    /** How long SIGTERM has before SIGKILL follows. Default 0: SIGKILL at once. */
    graceMs?: number;
    /** What its log says then. Default: the words of databases. */
    ready?: RegExp;
  }): Promise<Pick<Server, 'pid' | 'log' | 'stop'>>;
  /** Runs a program to its end; a failure tells what it said on stderr. */
  run(program: string, args: string[]): Promise<void>;
  /** A folder of its own for one server. */
  makeFolder(name: string): string;
  stop(): Promise<void>;
}

export function openServerGroup(): ServerGroup;

/** What differs between MySQL and MariaDB. */
export interface MysqlEngine {
  program: string;
  /** The program that makes the system tables in an empty folder, and its arguments. */
  install(data: string): [program: string, args: string[]];
  /** What the server needs besides its folders and addresses. */
  args: string[];
  /** SQL that drops the accounts of a fresh installation, which have no password. */
  dropAccounts: string;
}

/** Finds `mariadbd` or `mysqld`, whichever comes first on the PATH. */
export function findMysql(): MysqlEngine;

/**
 * Starts `mariadbd` or `mysqld`, whichever comes first on the PATH, on a free port of 127.0.0.1.
 *
 * @param options.args further arguments of the server
 */
export function startMysql(group?: ServerGroup, options?: { args?: string[] }): Promise<MysqlServer>;

/** Starts a Redis outside any cluster on a free port of 127.0.0.1. */
export function startRedis(options?: RedisOptions, group?: ServerGroup): Promise<RedisServer>;

/** Starts a Redis Cluster on free ports of 127.0.0.1 and resolves once all nodes agree on it and the replicas follow. */
export function startRedisCluster(options?: RedisClusterOptions, group?: ServerGroup): Promise<RedisCluster>;

/**
 * Starts an nginx on a free port of 127.0.0.1.
 *
 * @param http the inside of its http block, made for the port
 */
export function startNginx(http: (port: number) => string, group: ServerGroup): Promise<Server>;
