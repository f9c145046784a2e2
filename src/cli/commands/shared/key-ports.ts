import type { Context } from '../../../app/context.js';

/** What a change of the signing keys needs. */
export async function keyPorts(context: Context) {
  const [database, clock, sealer, generator, publishedKeys] = await Promise.all([
    context.database(),
    context.databaseClock(),
    context.sealer(),
    context.generator(),
    context.publishedKeys(),
  ]);
  return {
    ...{ database, openRegistry: context.registry, sealer, generator, publishedKeys, clock },
    actor: context.actor,
  };
}
