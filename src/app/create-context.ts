import type { Kysely } from 'kysely';
import type { RedisTokenRegistry } from '../adapters/redis/token-registry.js';
import type { Schema } from '../adapters/sql/schema.js';
import { incompleteStores } from '../config/check-settings.js';
import type { NamedBy } from '../config/secrets/secret-files.js';
import type { SettingPath, Settings } from '../config/settings.js';
import type { Clock, Database, Prompt, TokenRegistry, UserDirectory } from '../domain/ports/index.js';
import type { DatabaseGuard } from '../domain/recovery/database-guard.js';
import type { Written } from '../domain/recovery/record-marks.js';
import { failureText, JwtctlError } from '../domain/shared/errors.js';
import { noDirectory } from '../domain/users/no-directory.js';
import { shifted, systemClock } from './clock.js';
import { clockComparer } from './clock-comparison.js';
import type { Context, Messages } from './context.js';
import type { IfMissing } from './embedded-store.js';
import { once } from './once.js';
import {
  type OpenedStore,
  openEmbeddedStore,
  openMysqlStore,
  openRedisRegistry,
  type StoreOptions,
} from './open-stores.js';
import { login } from './os-login.js';
import { openSealing } from './sealing.js';
import { openTracing } from './tracing.js';

/** For questions that come before the settings are known. */
export async function openPrompt(): Promise<Prompt> {
  return (await import('../adapters/prompt/inquirer-prompt.js')).inquirerPrompt;
}

export interface ContextOptions extends Messages {
  settings: Settings;
  clock: Clock;
  /** Default: the host's clock */
  hostClock?: Pick<Clock, 'now'> | undefined;
  actor: string;
  /** Whether an outdated embedded store is migrated when it is opened. Default: true */
  migratesEmbedded?: boolean | undefined;
}

/** The composition root: with `open-stores.ts` and `sealing.ts`, the only code that imports adapters. */
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

  let databaseAheadSeconds = 0;

  const databaseClock = async (): Promise<Clock> => {
    await database();
    return databaseAheadSeconds === 0 ? clock : shifted(clock, databaseAheadSeconds);
  };

  const store = once(async (ifMissing?: IfMissing): Promise<OpenedStore> => {
    const incomplete = incompleteStores(settings);
    if (incomplete !== null) throw incomplete;
    const opened = isEmbedded
      ? await openEmbeddedStore(await storeOptions(), ifMissing)
      : await openMysqlStore(await storeOptions());
    await closeLater(opened.close);
    return opened;
  });
  const sql = async (): Promise<Kysely<Schema>> => (await store()).db;

  const tracing = once(openTracing);
  const storeOptions = async (): Promise<StoreOptions> => ({
    ...{ settings, namedBy, notice, trace },
    recordCall: (await tracing())?.recordCall,
  });

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
    const { db, redial, isPretended = false } = await store(ifMissing);
    const [{ schemaStatus, migrate }, { assertCurrent }, { sqlDatabase }] = await Promise.all([
      import('../adapters/sql/migrations/migrator.js'),
      import('../domain/model/schema-status.js'),
      import('../adapters/sql/stores/database.js'),
    ]);
    const status = await schemaStatus(db, engine);
    const mayMigrate = isEmbedded && (migratesEmbedded || isPretended);
    if (mayMigrate && status.pending.length > 0) await migrate(db, engine);
    else assertCurrent(status);
    const author = { login: login(), macKey: async () => (await sealing.auditKeys()).current() };
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
    if (isEmbedded) {
      await database();
      const { SqliteTokenRegistry } = await import('../adapters/sql/registry/token-registry.js');
      return new SqliteTokenRegistry(await sql(), {
        file: settings.data,
        clockToleranceSeconds: settings.token.clockTolerance,
        idleTimeoutSeconds: settings.token.idleTimeout,
      });
    }
    const incomplete = incompleteStores(settings);
    if (incomplete !== null) throw incomplete;
    const opened = await openRedisRegistry(
      await storeOptions(),
      (askTime) => void compareClock('Redis', askTime).catch(() => {}),
    );
    await closeLater(opened.close);
    redisRegistry = opened.registry;
    return opened.registry;
  });

  const { markKeys, ...sealing } = openSealing({
    ...{ settings, clock, namedBy, warn, trace },
    hasSealedKeys: async () =>
      (await (await database()).keys.snapshot()).keys.some((key) => key.masterKeyId !== null),
    // With servers, other hosts need a copy of a new file, so every output mode shows it.
    say: isEmbedded ? notice : warn,
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
    ...sealing,
    hasForeignMarks: async () => {
      const { marks, prefix } = await registry();
      if (marks === null) return false;
      const [{ areMarksForeign }, { ifReachable }] = await Promise.all([
        import('../domain/recovery/foreign-marks.js'),
        import('../domain/shared/unavailable.js'),
      ]);
      const macKeys = (await sealing.missingKeyring()) === null ? await markKeys() : null;
      const stored = await ifReachable(() => marks.read(), null);
      return stored !== null && areMarksForeign(stored, { prefix, macKeys });
    },
    assertOwnPrefix: async () => {
      const { marks, prefix } = await registry();
      if (marks === null) return;
      const [{ assertOwnMarks }, { auditLog }, macKeys] = await Promise.all([
        import('../domain/recovery/foreign-marks.js'),
        database(),
        markKeys(),
      ]);
      await assertOwnMarks(marks, { prefix, macKeys, auditLog });
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
      return new JweBackupFiles(await sealing.sealer());
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
