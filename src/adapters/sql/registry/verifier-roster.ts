import type { Kysely } from 'kysely';
import { formatHeartbeat, oldestFirst, parseHeartbeat } from '../../../domain/fleet/heartbeat.js';
import type { FleetLook, Heartbeat } from '../../../domain/ports/index.js';
import type { Schema } from '../schema.js';
import { retryConflicts } from '../stores/conflicts.js';

/** All processes that share the file share its clock. */
export async function report(db: Kysely<Schema>, heartbeat: Heartbeat, tolerance: number): Promise<void> {
  const { id, at, until } = heartbeat;
  const row = { heartbeat: formatHeartbeat(heartbeat), until };
  return retryConflicts(() =>
    db.transaction().execute(async (transaction) => {
      await transaction
        .deleteFrom('registry_fleet')
        .where('until', '<=', at - tolerance)
        .execute();
      await transaction
        .insertInto('registry_fleet')
        .values({ id, ...row })
        .onConflict((conflict) => conflict.column('id').doUpdateSet(row))
        .execute();
    }),
  );
}

export async function deregister(db: Kysely<Schema>, id: string): Promise<void> {
  await retryConflicts(() => db.deleteFrom('registry_fleet').where('id', '=', id).execute());
}

export async function readFleet(db: Kysely<Schema>, horizon: number): Promise<FleetLook> {
  const rows = await db
    .selectFrom('registry_fleet')
    .select('heartbeat')
    .where('until', '>', horizon)
    .execute();
  const verifiers = rows.flatMap(({ heartbeat }) => parseHeartbeat(heartbeat) ?? []);
  const untrusted = rows.length - verifiers.length;
  return { verifiers: oldestFirst(verifiers), keptSeconds: Number.POSITIVE_INFINITY, untrusted };
}
