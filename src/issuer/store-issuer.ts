import type { Context } from '../app/context.js';
import { createSignatures } from '../domain/jose/signature.js';
import { Issuer, type IssuerPorts } from '../domain/tokens/issue.js';
import { SigningPool } from '../domain/tokens/signing-pool.js';
import type { IssuerPolicy } from '../domain/tokens/token-request.js';
import { addUsers } from '../domain/users/import.js';
import { ensureUser } from '../domain/users/manage.js';

/** Opens an issuer on jwtctl's own stores. `createUsers` adds users for unknown subjects. */
export async function openStoreIssuer(context: Context, { createUsers = false } = {}): Promise<Issuer> {
  const ports = await storePorts(context);
  const ensureUsers = async (subs: readonly string[]) => {
    for (const sub of subs) await ensureUser(ports, sub);
  };
  return new Issuer(
    { ...ports, sign: createSignatures, addUsers: createUsers ? ensureUsers : undefined },
    policyOf(context),
  );
}

/** Opens an issuer that signs in worker threads. `close` stops them. */
export async function openStoreBulkIssuer(
  context: Context,
  { createUsers }: { createUsers: boolean },
): Promise<{ issuer: Issuer; close(): Promise<void> }> {
  const ports = await storePorts(context);
  const pool = new SigningPool();
  const addAll = (subs: readonly string[]) =>
    addUsers(
      ports,
      subs.map((sub) => ({ sub, name: null })),
    );
  const issuer = new Issuer(
    {
      ...ports,
      sign: (alg, key, inputs) => pool.sign(alg, key, inputs),
      addUsers: createUsers ? addAll : undefined,
    },
    policyOf(context),
  );
  return { issuer, close: () => pool.close() };
}

async function storePorts(context: Context) {
  const [database, registry, users, sealer, refreshTokens, guard] = await Promise.all([
    context.database(),
    context.registry(),
    context.usersWithClaims(),
    context.sealer(),
    context.refreshTokenSealer(),
    context.guard(),
  ]);
  const { clock, actor } = context;
  return {
    database,
    registry,
    users,
    sealer,
    refreshTokens,
    guard,
    clock,
    actor,
  } satisfies Partial<IssuerPorts>;
}

function policyOf({ settings }: Context): IssuerPolicy {
  return {
    issuer: settings.token.issuer,
    audience: settings.token.audience,
    type: settings.token.type,
    acceptTypes: settings.token.acceptTypes,
    ttlSeconds: settings.token.ttl,
    maxTtlSeconds: settings.token.maxTtl,
    actMaxTtlSeconds: settings.token.actMaxTtl,
    statusTtlSeconds: settings.users.statusTtl,
    clockToleranceSeconds: settings.token.clockTolerance,
    refreshTtlSeconds: settings.refresh.ttl,
    refreshMaxAgeSeconds: settings.refresh.maxAge ?? undefined,
    refreshGraceSeconds: settings.refresh.grace,
    userClaims: Object.keys(settings.users.claims ?? {}),
    maxPerSubject: settings.registry.maxPerSubject ?? undefined,
    onLimit: settings.registry.onLimit,
  };
}
