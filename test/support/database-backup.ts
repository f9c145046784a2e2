import { createConnection } from 'mysql2/promise';

const TABLES = [
  'keystore',
  'keystore_revision',
  'users',
  'security_log',
  'audit_log',
  'audit_head',
  'event_consumers',
];

/** A backup of all of jwtctl's data in MySQL. */
export interface DatabaseBackup {
  /** Restores the database to the time of the backup, except for its auto-increment counters. */
  restore(): Promise<void>;
}

/** @param url of MySQL, with its database */
export async function backUp(url: string): Promise<DatabaseBackup> {
  const connection = await createConnection(url);
  const saved = new Map<string, Array<Record<string, unknown>>>();
  for (const table of TABLES) {
    const [rows] = await connection.query(`SELECT * FROM ${table}`);
    // The server computes this column.
    saved.set(
      table,
      (rows as Array<Record<string, unknown>>).map(({ active_marker: _, ...row }) => row),
    );
  }
  await connection.end();
  return {
    restore: async () => {
      const target = await createConnection(url);
      await target.beginTransaction();
      for (const [table, rows] of saved) {
        await target.query(`DELETE FROM ${table}`);
        for (const row of rows) await target.query(`INSERT INTO ${table} SET ?`, [row]);
      }
      await target.commit();
      await target.end();
    },
  };
}
