import type { Context } from '../../../app/context.js';

/** What a change of the signing keys needs. */
export async function keyPorts(context: Context) {
  const [database, clock, sealer, generator] = await Promise.all([
    context.database(),
    context.databaseClock(),
    context.sealer(),
    context.generator(),
  ]);
  return { database, openRegistry: context.registry, sealer, generator, clock, actor: context.actor };
}
