import type { Context } from '../context.js';
import { Issuer } from '../domain/issuance.js';

/** The issuer over jwtctl's own stores: what CLI and library both use. */
export async function openStoreIssuer(context: Context): Promise<Issuer> {
  const { settings, clock } = context;
  const [database, registry, users, sealer] = await Promise.all([
    context.database(),
    context.registry(),
    context.users(),
    context.sealer(),
  ]);
  return new Issuer(
    { database, registry, users, sealer, clock },
    {
      issuer: settings.token.issuer,
      audience: settings.token.audience,
      ttlSeconds: settings.token.ttl,
      maxTtlSeconds: settings.token.maxTtl,
      statusTtlSeconds: settings.users.statusTtl,
      ...(settings.registry.maxPerSubject === null ? {} : { maxPerSubject: settings.registry.maxPerSubject }),
    },
  );
}
