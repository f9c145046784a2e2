import type { FastifyPluginCallback } from 'fastify';
import { JwtctlError } from '../../domain/shared/errors.js';
import type { IssuedToken } from '../../domain/tokens/issued-token.js';
import type { RefreshTokenUse } from '../../domain/tokens/use-refresh-token.js';
import type { ApiOptions } from './api-options.js';
import { actorOf, clientOf } from './authentication.js';
import type { Client } from './clients.js';
import { invalidRequest } from './failures.js';
import { formParameter } from './form.js';
import { REFRESHED_TOKEN } from './schemas.js';

/** `POST /token`: replaces a refresh token, and issues the next access token of its session (RFC 6749 §6). */
export const refreshSession: FastifyPluginCallback<ApiOptions> = (
  app,
  { services, log, now, metrics },
  done,
) => {
  app.post<{ Body: unknown }>(
    '/token',
    { config: { right: 'refresh', isOauth: true }, schema: { response: { 200: REFRESHED_TOKEN } } },
    async (request, reply) => {
      const startedAt = performance.now();
      const use = useOf(request.body, clientOf(request));
      const issued = await services.issuer.refresh(use).catch((error) => {
        if (error instanceof JwtctlError && error.code === 'ERR_REFRESH_REUSED') metrics.reused();
        throw error;
      });
      metrics.refreshed();
      log(request, { status: 200, code: 'refreshed', startedAt });
      // RFC 6749 §5.1. Every answer of the API has Cache-Control.
      return reply.header('pragma', 'no-cache').send(answerOf(issued, now()));
    },
  );
  done();
};

function useOf(form: unknown, client: Client): RefreshTokenUse {
  const given = (name: string) => formParameter(form, name) || undefined;
  const grantType = given('grant_type');
  if (grantType === undefined) throw invalidRequest('grant_type', 'The form has no parameter grant_type.');
  if (grantType !== 'refresh_token')
    throw new JwtctlError('ERR_GRANT_TYPE_UNSUPPORTED', 'The grant_type is not refresh_token.');
  const refreshToken = given('refresh_token');
  if (refreshToken === undefined)
    throw invalidRequest('refresh_token', 'The form has no parameter refresh_token.');
  // RFC 6749 §2.3: a client must not authenticate in two ways.
  if (given('client_secret') !== undefined)
    throw invalidRequest('client_secret', 'The form has a client_secret beside HTTP Basic.');
  if ((given('client_id') ?? client.id) !== client.id)
    throw invalidRequest('client_id', 'The client_id is not that of the client that authenticated.');
  return {
    ...{ refreshToken, clientId: client.id, audiences: client.audiences ?? undefined },
    ...{ scope: given('scope'), actor: actorOf(client) },
  };
}

function answerOf({ token, exp, refreshToken, scope }: IssuedToken, now: number) {
  return {
    access_token: token,
    token_type: 'Bearer',
    expires_in: Math.max(0, exp - now),
    refresh_token: refreshToken,
    scope,
  };
}
