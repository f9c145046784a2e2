import type { Context } from '../../app/context.js';
import { AuditWriter } from '../../domain/audit-log/audit-writer.js';
import type { LifetimePolicy } from '../../domain/model/lifetime.js';
import type { Administration } from '../../domain/ports/index.js';
import { RequestIssuer } from '../../issuer/request-issuer.js';
import { openStoreIssuer } from '../../issuer/store-issuer.js';
import { type Clients, openClients } from './clients.js';

/** What the endpoints work with. */
export interface ApiServices {
  clients: Clients;
  issuer: RequestIssuer;
  /** Acts in the name of `actor`. */
  administrationBy(actor: string): Administration;
  lifetime: LifetimePolicy;
  /** The `aud` of tokens that are issued without one. */
  defaultAudience: string;
  managesUsers: boolean;
}

/** Returns null without configured clients. */
export async function openApiServices(
  context: Context,
  warn: (text: string) => void,
): Promise<ApiServices | null> {
  const { settings, clock } = context;
  const { serve, token, users } = settings;
  if (serve.clients === null) return null;
  const clients = await openClients(serve.clients, { now: clock.now, warn });
  const [database, registry, issuer] = await Promise.all([
    context.database(),
    context.registry(),
    openStoreIssuer(context),
  ]);
  return {
    clients,
    issuer: new RequestIssuer(issuer, new AuditWriter(database)),
    administrationBy: (actor) => ({ database, registry, clock, actor }),
    lifetime: { maxTtlSeconds: token.maxTtl, clockToleranceSeconds: token.clockTolerance },
    defaultAudience: token.audience,
    managesUsers: users.source === 'managed',
  };
}
