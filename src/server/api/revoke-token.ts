import type { FastifyPluginCallback } from 'fastify';
import { familyOf } from '../../domain/model/family.js';
import { JwtctlError } from '../../domain/shared/errors.js';
import { endFamily } from '../../domain/tokens/end-family.js';
import { identifyToken } from '../../domain/tokens/identify-token.js';
import { openRefreshToken } from '../../domain/tokens/refresh-token.js';
import { revokeToken as revoke } from '../../domain/tokens/revoke.js';
import type { ApiOptions } from './api-options.js';
import { actorOf, clientOf, forbidden, mayUseAudience } from './authentication.js';
import type { Client } from './clients.js';
import { formToken } from './form.js';
import type { ApiServices } from './services.js';

/**
 * RFC 7009, for access and refresh tokens. Status 200 even for a token that is invalid or expired (RFC 7009 §2.2), and 400
 * for one of another client (RFC 7009 §2.1). The form may have a token_type_hint, which is ignored.
 */
export const revokeToken: FastifyPluginCallback<ApiOptions> = (app, { services, log, metrics }, done) => {
  app.post<{ Body: unknown }>(
    '/revoke',
    { config: { right: 'revoke', isOauth: true } },
    async (request, reply) => {
      const startedAt = performance.now();
      const revoked = await endToken(services, clientOf(request), formToken(request.body));
      metrics.revoked(revoked ?? 0);
      log(request, {
        status: 200,
        code: revoked === null ? 'ERR_TOKEN_NOT_REGISTERED' : 'revoked',
        startedAt,
      });
      return reply.code(200).send();
    },
  );
  done();
};

/** Returns how many live tokens it ended; null for a token that has nothing to end. */
async function endToken(services: ApiServices, client: Client, token: string): Promise<number | null> {
  const { administrationBy, lifetime, sessionClients } = services;
  const ports = administrationBy(actorOf(client));
  const found = await identifyToken(ports.database, token);
  if ('active' in found) return endSession(services, client, token);
  const { sub, jti, payload } = found;
  // The registry does not know the client of a session, and the settings only those of this server.
  const [only, ...others] = sessionClients;
  const isOfKnownClient = payload.client_id !== undefined || (only === client.id && others.length === 0);
  const endsSession = familyOf(jti) !== null && isOfKnownClient;
  // An expired token still ends its session.
  const isOver = !(Number(payload.exp) + lifetime.clockToleranceSeconds > ports.clock.now());
  if (isOver && !endsSession) return null;
  assertOwn(client, payload.client_id, payload.aud);
  const selection = { sub, jti, keepsSession: !endsSession };
  return (await revoke(ports, lifetime, selection, { reason: null, dryRun: false })).revoked;
}

async function endSession(
  { administrationBy, lifetime, refreshTokens, defaultAudience }: ApiServices,
  client: Client,
  token: string,
): Promise<number | null> {
  const contents = await openRefreshToken(refreshTokens, token).catch((error: unknown) => {
    if (error instanceof JwtctlError && error.code === 'ERR_REFRESH_INVALID') return null;
    throw error;
  });
  if (contents === null) return null;
  const { sub, family, request } = contents;
  assertOwn(client, request.clientId, request.aud ?? defaultAudience);
  const end = { sub, family, action: 'token.revoke', outcome: 'done', reason: null };
  return (await endFamily(administrationBy(actorOf(client)), lifetime, end)).removed;
}

/** A token that names no client belongs to every client that may use its audience. */
function assertOwn(client: Client, clientId: unknown, aud: unknown): void {
  if (clientId !== undefined && clientId !== client.id)
    throw new JwtctlError('ERR_CLIENT_MISMATCH', 'The token was issued to another client.');
  if (!mayUseAudience(client, aud))
    throw forbidden('The client is not allowed to use the audience of the token.');
}
