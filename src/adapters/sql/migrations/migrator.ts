import { DummyDriver, Kysely, Migrator, MysqlQueryCompiler, sql } from 'kysely';
import { newerSchema, type SchemaStatus } from '../../../domain/model/schema-status.js';
import { JwtctlError } from '../../../domain/shared/errors.js';
import type { Schema } from '../schema.js';
import { isDuplicateKey } from '../stores/conflicts.js';
import { MIGRATION_LOCK_TABLE, MIGRATION_TABLE, tableName } from '../table-prefix.js';
import { type Engine, migrationsFor } from './index.js';

/**
 * Returns the migrations that {@link migrate} would apply.
 *
 * @throws JwtctlError `ERR_SCHEMA_NEWER`, `ERR_SCHEMA_DAMAGED`, `ERR_TABLE_EXISTS` (state)
 */
export async function planMigration(db: Kysely<Schema>, engine: Engine): Promise<string[]> {
  const status = await schemaStatus(db, engine);
  if (status.unknown.length > 0) throw newerSchema(status.unknown);
  assertInOrder(status);
  const migrations = migrationsFor(engine);
  const rehearsal = withoutEffect(db);
  for (const name of status.pending) await migrations[name]?.up(rehearsal);
  return status.pending;
}

/** Sees the tables of `db`, and runs no statement. */
function withoutEffect(db: Kysely<Schema>): Kysely<unknown> {
  const { adapter, plugins } = db.getExecutor();
  return new Kysely<unknown>({
    plugins: [...plugins],
    dialect: {
      createAdapter: () => adapter,
      createDriver: () => new DummyDriver(),
      createQueryCompiler: () => new MysqlQueryCompiler(),
      createIntrospector: () => db.introspection,
    },
  });
}

/** Changes nothing if a check fails. If several run at once, one works and the others wait. */
export async function migrate(db: Kysely<Schema>, engine: Engine): Promise<string[]> {
  await planMigration(db, engine);
  const migrator = new Migrator({
    db,
    provider: { getMigrations: async () => migrationsFor(engine) },
    migrationTableName: tableName(db, MIGRATION_TABLE),
    migrationLockTableName: tableName(db, MIGRATION_LOCK_TABLE),
  });
  const { error, results } = await migrator.migrateToLatest();
  if (error !== undefined) throw isDoneByAnotherRun(error) ? migrationRunning(error) : error;
  return (results ?? [])
    .filter((result) => result.status === 'Success')
    .map((result) => result.migrationName);
}

/** If the session with the migration lock is lost, the next run starts while the first one still works. */
function isDoneByAnotherRun(error: unknown): boolean {
  return isDuplicateKey(error) || ALREADY_DONE.has((error as { errno?: number }).errno ?? 0);
}

const ALREADY_DONE = new Set([
  1050, // ER_TABLE_EXISTS_ERROR
  1060, // ER_DUP_FIELDNAME
  1061, // ER_DUP_KEYNAME
  1091, // ER_CANT_DROP_FIELD_OR_KEY
  1412, // ER_TABLE_DEF_CHANGED
  1684, // ER_WARN_I_S_SKIPPED_TABLE: its definition is being changed
]);

function migrationRunning(cause: unknown): JwtctlError {
  return new JwtctlError(
    'ERR_MIGRATION_RUNNING',
    'Another `jwtctl db migrate` is changing the tables of this database.',
    { hint: 'Wait until it has finished. Then run `jwtctl db migrate` again to apply the rest.', cause },
  );
}

export async function schemaStatus(db: Kysely<Schema>, engine: Engine): Promise<SchemaStatus> {
  const known = Object.keys(migrationsFor(engine));
  const applied = await appliedMigrations(db, engine);
  return {
    engine,
    applied: known.filter((name) => applied.includes(name)),
    pending: known.filter((name) => !applied.includes(name)),
    unknown: applied.filter((name) => !known.includes(name)),
  };
}

function assertInOrder({ applied, pending }: SchemaStatus): void {
  const [next] = pending;
  if (next === undefined || applied.every((name) => name < next)) return;
  const message = `The database has later migrations than ${next}, but not that one.`;
  throw new JwtctlError('ERR_SCHEMA_DAMAGED', message, {
    hint: 'Another program changed the table jwtctl_migration. Restore its rows from a backup.',
  });
}

async function appliedMigrations(db: Kysely<Schema>, engine: Engine): Promise<string[]> {
  if (engine === 'sqlite' && !(await hasMigrationTable(db))) return [];
  try {
    const query = sql<{ name: string }>`select name from ${sql.table(MIGRATION_TABLE)} order by name`;
    return (await query.execute(db)).rows.map((row) => row.name);
  } catch (error) {
    if (error instanceof JwtctlError && error.code === 'ERR_SCHEMA_MISMATCH') return [];
    throw error;
  }
}

/** SQLite has no error code of its own for a missing table. */
async function hasMigrationTable(db: Kysely<Schema>): Promise<boolean> {
  const found = sql`select 1 from sqlite_master where type = 'table' and name = ${MIGRATION_TABLE}`;
  return (await found.execute(db)).rows.length > 0;
}
