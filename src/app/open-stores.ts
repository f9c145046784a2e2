import type { Kysely } from 'kysely';
import type { Schema } from '../adapters/sql/schema.js';
import type { NamedBy } from '../config/secrets/secret-files.js';
import type { SettingPath, Settings } from '../config/settings.js';
import type { RecordCall } from '../domain/ports/index.js';
import { socketPath } from '../domain/shared/socket-path.js';
import type { Messages } from './context.js';
import { type IfMissing, prepareStoreFile } from './embedded-store.js';

export interface StoreOptions extends Pick<Messages, 'notice' | 'trace'> {
  settings: Settings;
  recordCall: RecordCall | undefined;
  namedBy(setting: SettingPath): NamedBy;
}

export interface OpenedStore {
  db: Kysely<Schema>;
  close(): Promise<void>;
  redial?: () => void;
  /** Whether the store takes the place of a missing one, for a dry run. */
  isPretended?: boolean;
}

export async function openEmbeddedStore(
  { settings, recordCall, notice }: StoreOptions,
  ifMissing: IfMissing | undefined,
): Promise<OpenedStore> {
  const { openSqlite } = await import('../adapters/sql/sqlite/open-sqlite.js');
  const timeoutMs = settings.timeout * 1000;
  if (!prepareStoreFile(settings.data, ifMissing))
    return { ...openSqlite({ file: ':memory:', timeoutMs }), isPretended: true };
  notice(
    `Using the embedded store ${settings.data}: neither JWTCTL_MYSQL_URL nor JWTCTL_REDIS_NODES is set.`,
  );
  return openSqlite({ file: settings.data, timeoutMs, recordCall });
}

export async function openMysqlStore({
  settings,
  recordCall,
  namedBy,
  trace,
}: StoreOptions): Promise<OpenedStore> {
  const [{ openMysql }, { credentialsReader }] = await Promise.all([
    import('../adapters/sql/mysql/open-mysql.js'),
    import('../config/secrets/store-credentials.js'),
  ]);
  const { tablePrefix } = settings.mysql;
  const url = String(settings.mysql.url);
  trace(`Opening MySQL at ${socketPath(url) ?? new URL(url).host}.`);
  return openMysql({
    ...{ url, timeoutMs: settings.timeout * 1000, recordCall },
    credentials: credentialsReader('mysql', settings, namedBy),
    tablePrefix: tablePrefix ?? undefined,
  });
}

/** @param compareClock called once a server is reached, with a function that asks for its time */
export async function openRedisRegistry(
  { settings, recordCall, namedBy, trace }: StoreOptions,
  compareClock: (askTime: () => Promise<number>) => void,
) {
  const [{ openRedisTokenRegistry }, { credentialsReader, sentinelCredentials }] = await Promise.all([
    import('../adapters/redis/token-registry.js'),
    import('../config/secrets/store-credentials.js'),
  ]);
  const { mode, sentinelMaster, username, tls, natMap, prefix } = settings.redis;
  const nodes = settings.redis.nodes ?? [];
  trace(`Opening Redis (${mode}) at ${nodes.map(({ host, port }) => `${host}:${port}`).join(', ')}.`);
  return openRedisTokenRegistry({
    ...{ nodes, mode, prefix, compareClock, recordCall },
    clockToleranceSeconds: settings.token.clockTolerance,
    idleTimeoutSeconds: settings.token.idleTimeout,
    timeoutMs: settings.timeout * 1000,
    credentials: credentialsReader('redis', settings, namedBy),
    isTls: tls.enabled,
    sentinel:
      mode === 'sentinel'
        ? { master: String(sentinelMaster), credentials: sentinelCredentials(settings, namedBy) }
        : undefined,
    username: username ?? undefined,
    natMap: natMap ?? undefined,
  });
}
