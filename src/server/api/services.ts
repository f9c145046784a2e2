import type { Context } from '../../app/context.js';
import type { Settings } from '../../config/settings.js';
import { AuditRowBatcher } from '../../domain/audit-log/audit-row-batcher.js';
import type { Administration, RefreshTokenSealer, UserDirectory } from '../../domain/ports/index.js';
import type { UserAdministrationPolicy } from '../../domain/users/manage.js';
import { RequestIssuer } from '../../issuer/request-issuer.js';
import { openStoreIssuer } from '../../issuer/store-issuer.js';
import { type Clients, openClients } from './clients.js';

/** What the endpoints work with. */
export interface ApiServices {
  /** Null without configured clients. */
  clients: Clients | null;
  /** The clients that can have sessions. */
  sessionClients: readonly string[];
  hasLogout: boolean;
  issuer: RequestIssuer;
  /** Acts in the name of `actor`. */
  administrationBy(actor: string): Administration;
  lifetime: UserAdministrationPolicy;
  refreshTokens: RefreshTokenSealer;
  /** The `aud` of tokens that are issued without one. */
  defaultAudience: string;
  users: UserDirectory;
  usersSource: Settings['users']['source'];
}

/** Returns null if no endpoint is configured. */
export async function openApiServices(
  context: Context,
  warn: (text: string) => void,
): Promise<ApiServices | null> {
  const { settings, clock } = context;
  const { serve, token, users, refresh } = settings;
  if (serve.clients === null && !serve.logout) return null;
  const clients = serve.clients === null ? null : await openClients(serve.clients, { now: clock.now, warn });
  const [database, registry, directory, refreshTokens, issuer] = await Promise.all([
    context.database(),
    context.registry(),
    context.users(),
    context.refreshTokenSealer(),
    openStoreIssuer(context),
  ]);
  const requestIssuer = new RequestIssuer(issuer, new AuditRowBatcher(database));
  const tracing = await context.tracing();
  tracing?.trace(requestIssuer, 'issue', 'jwtctl.issue');
  tracing?.trace(requestIssuer, 'refresh', 'jwtctl.refresh');
  return {
    ...{ clients, refreshTokens },
    sessionClients: (serve.clients ?? [])
      .filter(({ may }) => may.includes('issue') || may.includes('refresh'))
      .map(({ id }) => id),
    hasLogout: serve.logout,
    issuer: requestIssuer,
    administrationBy: (actor) => ({ database, registry, clock, actor }),
    lifetime: {
      maxTtlSeconds: token.maxTtl,
      refreshTtlSeconds: refresh.ttl,
      clockToleranceSeconds: token.clockTolerance,
      statusTtlSeconds: users.statusTtl,
    },
    defaultAudience: token.audience,
    ...{ users: directory, usersSource: users.source },
  };
}
