import { existsSync } from 'node:fs';
import type { Kysely } from 'kysely';
import type { RedisTokenRegistry } from '../adapters/redis/token-registry.js';
import type { MacKeys } from '../adapters/sealing/mac-keys.js';
import type { MasterKeys } from '../adapters/sealing/master-keys.js';
import type { Schema } from '../adapters/sql/schema.js';
import { incompleteStores } from '../config/check-settings.js';
import { type NamedBy, readKeyringFile } from '../config/secrets/secret-files.js';
import type { SettingPath, Settings } from '../config/settings.js';
import type {
  Clock,
  ContentKeySealer,
  Database,
  Prompt,
  RefreshTokenSealer,
  Sealer,
  TokenRegistry,
  UserDirectory,
} from '../domain/ports/index.js';
import type { DatabaseGuard } from '../domain/recovery/database-guard.js';
import type { Written } from '../domain/recovery/record-marks.js';
import { failureText, JwtctlError } from '../domain/shared/errors.js';
import { socketPath } from '../domain/shared/socket-path.js';
import { noDirectory } from '../domain/users/no-directory.js';
import { chooseKeyringSource } from './choose-keyring-source.js';
import { shifted, systemClock } from './clock.js';
import { clockComparer } from './clock-comparison.js';
import type { Context } from './context.js';
import { type IfMissing, prepareStoreFile } from './embedded-store.js';
import { login } from './os-login.js';
import { openTracing } from './tracing.js';

/** For questions that come before the settings are known. */
export async function openPrompt(): Promise<Prompt> {
  return (await import('../adapters/prompt/inquirer-prompt.js')).inquirerPrompt;
}

export interface ContextOptions {
  settings: Settings;
  clock: Clock;
  /** Default: the host's clock */
  hostClock?: Pick<Clock, 'now'> | undefined;
  actor: string;
  /** Whether an outdated embedded store is migrated when it is opened. Default: true */
  migratesEmbedded?: boolean | undefined;
  /** Called with information for the user, such as which store is in use. */
  notice(text: string): void;
  /** Called with warnings about something to fix, such as a secret that other users can read. */
  caution(text: string): void;
  /** Called with text that is shown in every output mode, such as the path of a new master key file. */
  warn(text: string): void;
  /** Called with details for `--verbose`. */
  trace(text: string): void;
}

/** The composition root. No other file imports adapters. */
export function createContext(options: ContextOptions): Context {
  const { settings, clock, hostClock = systemClock, actor, notice, caution, warn, trace } = options;
  const { migratesEmbedded = true } = options;
  const isEmbedded = settings.mysql.url === null && settings.redis.nodes === null;
  const timeoutMs = settings.timeout * 1000;
  const closers: Array<() => Promise<void>> = [];
  let isDisposed = false;
  /** A command may end while a store is still opening, for example after a time limit. */
  const closeLater = async (close: () => Promise<void>): Promise<void> => {
    if (!isDisposed) return void closers.push(close);
    await close();
    throw new JwtctlError('ERR_CLOSED', 'The store was still opening when it was closed.');
  };

  const warned = new Set<string>();
  const cautionOnce = (text: string): void => {
    if (!warned.has(text)) caution(text);
    warned.add(text);
  };
  const namedBy = (setting: SettingPath): NamedBy => ({ setting, warn: cautionOnce });

  const compareClock = clockComparer({ hostClock, toleranceSeconds: settings.token.clockTolerance, caution });

  let redial: (() => void) | undefined;
  let databaseAheadSeconds = 0;

  const databaseClock = async (): Promise<Clock> => {
    await database();
    return databaseAheadSeconds === 0 ? clock : shifted(clock, databaseAheadSeconds);
  };

  const sql = once(async (ifMissing?: IfMissing): Promise<Kysely<Schema>> => {
    const incomplete = incompleteStores(settings);
    if (incomplete !== null) throw incomplete;
    if (isEmbedded) {
      const { db, close } = await openEmbedded(ifMissing);
      await closeLater(close);
      return db;
    }
    const opened = await openServer();
    await closeLater(opened.close);
    redial = opened.redial;
    return opened.db;
  });

  async function openEmbedded(ifMissing?: IfMissing) {
    const { openSqlite } = await import('../adapters/sql/sqlite/open-sqlite.js');
    if (!(await prepareStoreFile(settings.data, ifMissing)))
      return openSqlite({ file: ':memory:', timeoutMs });
    notice(
      `Using the embedded store ${settings.data}: neither JWTCTL_MYSQL_URL nor JWTCTL_REDIS_NODES is set.`,
    );
    return openSqlite({ file: settings.data, timeoutMs, recordCall: await recordCall() });
  }

  async function openServer() {
    const [{ openMysql }, { credentialsReader }] = await Promise.all([
      import('../adapters/sql/mysql/open-mysql.js'),
      import('../config/secrets/store-credentials.js'),
    ]);
    const { url, tablePrefix } = settings.mysql;
    trace(`Opening MySQL at ${socketPath(String(url)) ?? new URL(String(url)).host}.`);
    const credentials = credentialsReader('mysql', settings, namedBy);
    return openMysql({
      ...{ url: String(url), timeoutMs, credentials, recordCall: await recordCall() },
      tablePrefix: tablePrefix ?? undefined,
    });
  }

  const tracing = once(openTracing);
  const recordCall = async () => (await tracing())?.recordCall;

  const engine = isEmbedded ? 'sqlite' : 'mysql';

  const schema = once(async () => {
    const db = await sql();
    const migrator = await import('../adapters/sql/migrations/migrator.js');
    return {
      status: () => migrator.schemaStatus(db, engine),
      plan: () => migrator.planMigration(db, engine),
      migrate: () => migrator.migrate(db, engine),
    } as const;
  });

  const database = once(async (ifMissing?: IfMissing): Promise<Database> => {
    const db = await sql(ifMissing);
    const [{ schemaStatus, assertCurrent, migrate }, { sqlDatabase }] = await Promise.all([
      import('../adapters/sql/migrations/migrator.js'),
      import('../adapters/sql/stores/database.js'),
    ]);
    const status = await schemaStatus(db, engine);
    if (isEmbedded && migratesEmbedded && status.pending.length > 0) await migrate(db, engine);
    else assertCurrent(status);
    const author = { login: login(), macKey: async () => (await auditKeys()).current() };
    // If this host is behind, do not add the lag: once its clock is corrected, that would end bans early.
    const now = () => clock.now() - settings.token.clockTolerance + Math.min(databaseAheadSeconds, 0);
    const opened = sqlDatabase(db, { author, redial, onInvalidEvent: cautionOnce, now });
    if (isEmbedded) return opened;
    const { askDatabaseTime } = await import('../adapters/sql/stores/database-clock.js');
    databaseAheadSeconds = await compareClock('MySQL', () => askDatabaseTime(db));
    const { markedDatabase } = await import('../domain/recovery/record-marks.js');
    return markedDatabase(opened, (written) => {
      const recording = recordMarks(opened, written).finally(() => recordings.delete(recording));
      recordings.add(recording);
    });
  });

  const recordings = new Set<Promise<void>>();

  /** Failures are harmless: the database has the state, and the next write records a missed mark. */
  async function recordMarks(opened: Database, written: Written): Promise<void> {
    try {
      const { marks, prefix } = await registry();
      if (marks === null) return;
      const { recordMarks: record } = await import('../domain/recovery/record-marks.js');
      const ports = { database: opened, marks, prefix, macKeys: await markKeys() };
      for (const key of await record(ports, written))
        cautionOnce(
          `The key ${key} in Redis holds a value that jwtctl did not write, so \`db recover\` could not find an event that was just recorded. Delete the key.`,
        );
    } catch (error) {
      trace(`The marks in Redis could not be updated: ${failureText(error)}`);
    }
  }

  const guard = once(async (): Promise<DatabaseGuard> => {
    const [{ DatabaseGuard }, opened, { marks, prefix }, macKeys] = await Promise.all([
      import('../domain/recovery/database-guard.js'),
      database(),
      registry(),
      markKeys(),
    ]);
    return new DatabaseGuard({ database: opened, marks, prefix, macKeys, clock });
  });

  const usersWith = async (claims: Settings['users']['claims']): Promise<UserDirectory> => {
    const { source, table, column, idType, enabledWhere } = settings.users;
    switch (source) {
      case 'managed':
        return (await database()).users;
      case 'off':
        return noDirectory;
      case 'table': {
        await database();
        const { sqlUserTable } = await import('../adapters/sql/stores/user-table.js');
        return sqlUserTable((await sql()).withoutPlugins(), {
          ...{ table: String(table), column: String(column), idType, enabledWhere, claims },
        });
      }
    }
  };
  const users = once(() => usersWith(null));
  const usersWithClaims = once(() => usersWith(settings.users.claims));

  let redisRegistry: RedisTokenRegistry | undefined;

  const registry = once(async (): Promise<TokenRegistry> => {
    const clockToleranceSeconds = settings.token.clockTolerance;
    const idleTimeoutSeconds = settings.token.idleTimeout;
    if (isEmbedded) {
      await database();
      const { SqliteTokenRegistry } = await import('../adapters/sql/registry/token-registry.js');
      const options = { file: settings.data, clockToleranceSeconds, idleTimeoutSeconds };
      return new SqliteTokenRegistry(await sql(), options);
    }
    const incomplete = incompleteStores(settings);
    if (incomplete !== null) throw incomplete;
    const [{ openRedisTokenRegistry }, { credentialsReader, sentinelCredentials }] = await Promise.all([
      import('../adapters/redis/token-registry.js'),
      import('../config/secrets/store-credentials.js'),
    ]);
    const { nodes, mode, sentinelMaster, username, tls, natMap, prefix } = settings.redis;
    const credentials = credentialsReader('redis', settings, namedBy);
    trace(
      `Opening Redis (${mode}) at ${(nodes ?? []).map(({ host, port }) => `${host}:${port}`).join(', ')}.`,
    );
    const opened = openRedisTokenRegistry({
      nodes: nodes ?? [],
      mode,
      prefix,
      clockToleranceSeconds,
      idleTimeoutSeconds,
      timeoutMs,
      compareClock: (askTime) => void compareClock('Redis', askTime).catch(() => {}),
      credentials,
      isTls: tls.enabled,
      sentinel:
        mode === 'sentinel'
          ? { master: String(sentinelMaster), credentials: sentinelCredentials(settings, namedBy) }
          : undefined,
      username: username ?? undefined,
      natMap: natMap ?? undefined,
      recordCall: await recordCall(),
    });
    await closeLater(opened.close);
    redisRegistry = opened.registry;
    return opened.registry;
  });

  const hasSealedKeys = async () =>
    (await (await database()).keys.snapshot()).keys.some((key) => key.masterKeyId !== null);

  const missingKeyring = async (): Promise<string | null> => {
    const { file } = settings.masterKey;
    return file === null || existsSync(file) ? null : file;
  };

  const createKeyring = async (): Promise<string | null> => {
    const file = await missingKeyring();
    if (file === null) return null;
    const { loadKeyring } = await import('../adapters/sealing/keyring-source.js');
    const mayCreate = async () => {
      try {
        return !(await hasSealedKeys());
      } catch (error) {
        if (error instanceof JwtctlError && NO_KEYS_YET.has(error.code)) return true;
        throw error;
      }
    };
    const read = (name: string) => readKeyringFile(name, namedBy('masterKey.file'));
    await loadKeyring({ kind: 'embedded', file, read, mayCreate, onCreated: () => {} });
    return file;
  };

  const masterKeys = once(async (): Promise<MasterKeys> => {
    const { MasterKeys } = await import('../adapters/sealing/master-keys.js');
    const source = chooseKeyringSource(settings, {
      namedBy,
      hasSealedKeys,
      // With servers, other hosts need a copy of a new file, so every output mode shows it.
      say: isEmbedded ? notice : warn,
    });
    trace(`The master keyring comes from ${'file' in source ? source.file : `a ${source.kind}`}.`);
    return new MasterKeys(source, clock);
  });

  const auditKeys = once(async (): Promise<MacKeys> => {
    const { MacKeys } = await import('../adapters/sealing/mac-keys.js');
    const onFailure = ({ message }: JwtctlError) =>
      warn(`Warning: this command's rows in the audit log are not authenticated. ${message}`);
    return new MacKeys(await masterKeys(), { purpose: 'audit log', clock, onFailure });
  });

  /** Reports no failure: callers that need the keyring for their main work fail on their own. */
  const markKeys = once(async (): Promise<MacKeys> => {
    const { MacKeys } = await import('../adapters/sealing/mac-keys.js');
    return new MacKeys(await masterKeys(), { purpose: 'high-water marks', clock, onFailure: () => {} });
  });

  const sealer = once(async (): Promise<Sealer & ContentKeySealer> => {
    const { JweSealer } = await import('../adapters/sealing/jwe-sealer.js');
    return new JweSealer(await masterKeys());
  });

  const refreshTokenSealer = once(async (): Promise<RefreshTokenSealer> => {
    const { AesRefreshTokenSealer } = await import('../adapters/sealing/refresh-token-sealer.js');
    return new AesRefreshTokenSealer(await masterKeys());
  });

  return {
    settings,
    clock,
    databaseClock,
    actor,
    database,
    users,
    usersWithClaims,
    registry,
    schema,
    sealer,
    refreshTokenSealer,
    auditKeys,
    checkKeyring: async () => void (await (await masterKeys()).existing()),
    missingKeyring,
    createKeyring,
    hasForeignMarks: async () => {
      const { marks, prefix } = await registry();
      if (marks === null) return false;
      const { areMarksForeign } = await import('../domain/recovery/foreign-marks.js');
      const macKeys = (await missingKeyring()) === null ? await markKeys() : null;
      return areMarksForeign({ marks, prefix, macKeys });
    },
    guard,
    recovery: async () => {
      const [opened, { marks, prefix }, macKeys] = await Promise.all([database(), registry(), markKeys()]);
      if (marks === null) return null;
      return { database: opened, marks, prefix, macKeys, clock: await databaseClock(), actor };
    },
    eventDelivery: async (warnOfEvents) => {
      const { command, timeout } = settings.hooks;
      if (command === null) return null;
      const [opened, { EventDelivery }, { outputOf }] = await Promise.all([
        database(),
        import('../domain/event-stream/deliver.js'),
        import('../config/secrets/secret-command.js'),
      ]);
      const by = {
        setting: 'hooks.command',
        timeoutMs: timeout * 1000,
        code: 'ERR_HOOK_COMMAND_FAILED',
      } as const;
      const send = async (input: string) => void (await outputOf(command, { ...by, input }));
      return new EventDelivery({ database: opened, clock, send, warn: warnOfEvents }, timeout);
    },
    readKeyTable: async (options) => {
      if (isEmbedded) {
        throw new JwtctlError(
          'ERR_KEY_TABLE_UNREADABLE',
          'Keys are read from a table in MySQL, but mysql.url is not set.',
          {
            hint: 'Set JWTCTL_MYSQL_URL and JWTCTL_REDIS_NODES. To import into the embedded store instead, export the keys from the table to PEM files, and import those with `jwtctl keys import --pem`.',
          },
        );
      }
      const { readKeyTable } = await import('../adapters/sql/stores/key-table.js');
      return readKeyTable(await sql(), options);
    },
    administration: async () => {
      const [opened, tokenRegistry, clockOfDatabase] = await Promise.all([
        database(),
        registry(),
        databaseClock(),
      ]);
      return { database: opened, registry: tokenRegistry, clock: clockOfDatabase, actor };
    },
    backups: once(async () => {
      const { JweBackupFiles } = await import('../adapters/backup/jwe-backup-files.js');
      return new JweBackupFiles(await sealer());
    }),
    generator: once(async () => (await import('../adapters/rsa/key-pair-generator.js')).rsaKeyPairGenerator),
    publishedKeys: async (url) => {
      const publishUrl = url ?? settings.keys.publishUrl;
      if (publishUrl === null) return null;
      const [{ httpPublishedKeys }, { readPublishCa }] = await Promise.all([
        import('../adapters/published-keys/http-published-keys.js'),
        import('../config/secrets/tls-files.js'),
      ]);
      return httpPublishedKeys(publishUrl, { timeoutMs, ca: await readPublishCa(settings) });
    },
    accountRights: async () => {
      if (isEmbedded) return [];
      await registry();
      if (redisRegistry === undefined) return [];
      const { readMysqlRights } = await import('../adapters/sql/mysql/account-rights.js');
      const url = new URL(String(settings.mysql.url));
      return Promise.all([readMysqlRights(await sql(), url), redisRegistry.accountRights()]);
    },
    accountStatements: async (account) => {
      const { mysql, redis, users } = settings;
      if (account === 'redis') {
        const { aclStatement, PASSWORD } = await import('../adapters/redis/wire/needed-permissions.js');
        const username = redis.username ?? 'jwtctl';
        return [aclStatement({ ...redis, username }, 'on', `>${PASSWORD}`)];
      }
      const { accountStatements } = await import('../adapters/sql/mysql/privileges.js');
      const url = new URL(mysql.url ?? 'mysql://jwtctl@localhost/jwtctl');
      const userTable = users.source === 'table' ? users.table : null;
      return accountStatements(account, { url, tablePrefix: mysql.tablePrefix ?? '', userTable });
    },
    tracing,
    prompt: openPrompt,
    dispose: async () => {
      await Promise.all(recordings);
      isDisposed = true;
      await Promise.allSettled(closers.splice(0).map((close) => close()));
    },
  };
}

/** The codes for a store without tables. */
const NO_KEYS_YET = new Set<string>(['ERR_SCHEMA_OUTDATED', 'ERR_NO_STORE']);

/** Shares the result of the first call. A failed call is not kept. */
function once<Argument extends unknown[], Result>(
  make: (...argument: Argument) => Promise<Result>,
): (...argument: Argument) => Promise<Result> {
  let result: Promise<Result> | undefined;
  return (...argument) => {
    if (result === undefined) {
      result = make(...argument);
      result.catch(() => {
        result = undefined;
      });
    }
    return result;
  };
}
