import type { Context } from '../app/context.js';
import { Issuer, type IssuerPolicy, type IssuerPorts } from '../domain/tokens/issue.js';
import { BulkIssuer } from '../domain/tokens/issue-many.js';
import { SigningPool } from '../domain/tokens/signing-pool.js';
import { addUsers } from '../domain/users/import.js';

/** The issuer over jwtctl's own stores: what CLI and library both use. */
export async function openStoreIssuer(context: Context): Promise<Issuer> {
  return new Issuer(await storePorts(context), policyOf(context));
}

/**
 * The same for many tokens at once.
 *
 * @param options.createUsers whether a subject that is no user becomes one
 * @returns the issuer, and what ends the threads that sign for it
 */
export async function openStoreBulkIssuer(
  context: Context,
  { createUsers }: { createUsers: boolean },
): Promise<{ issuer: BulkIssuer; close(): Promise<void> }> {
  const [ports, database] = await Promise.all([storePorts(context), context.database()]);
  const signing = new SigningPool();
  const add = (subs: readonly string[]) =>
    addUsers(
      { database, clock: context.clock },
      subs.map((sub) => ({ sub, name: null })),
    );
  const issuer = new BulkIssuer({ ...ports, signing, addUsers: createUsers ? add : null }, policyOf(context));
  return { issuer, close: () => signing.close() };
}

async function storePorts(context: Context): Promise<IssuerPorts> {
  const [database, registry, users, sealer, guard] = await Promise.all([
    context.database(),
    context.registry(),
    context.users(),
    context.sealer(),
    context.guard(),
  ]);
  return { database, registry, users, sealer, guard, clock: context.clock };
}

function policyOf({ settings }: Context): IssuerPolicy {
  return {
    issuer: settings.token.issuer,
    audience: settings.token.audience,
    ttlSeconds: settings.token.ttl,
    maxTtlSeconds: settings.token.maxTtl,
    statusTtlSeconds: settings.users.statusTtl,
    ...(settings.registry.maxPerSubject === null ? {} : { maxPerSubject: settings.registry.maxPerSubject }),
  };
}
