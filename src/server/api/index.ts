import type { FastifyInstance, FastifyPluginCallback } from 'fastify';
import type { AppOptions } from '../app-options.js';
import { authentication } from './authentication.js';
import { readBodies } from './bodies.js';
import { endTokens } from './end-tokens.js';
import { failureOf, oauthFailureOf, sendFailure } from './failures.js';
import { introspect } from './introspect.js';
import { issueToken } from './issue-token.js';
import { listTokens } from './list-tokens.js';
import { logout } from './logout.js';
import { refreshSession } from './refresh-session.js';
import { revokeToken } from './revoke-token.js';
import { users } from './users.js';

/** The endpoints for applications. They do not exist unless they are configured. */
export const api: FastifyPluginCallback<AppOptions> = (app, options, done) => {
  const { api: services, now } = options;
  if (services === null) return done();
  app.addHook('onSend', async (_request, reply) => {
    reply.header('cache-control', 'no-store');
  });
  reportFailures(app, options);
  const { clients, hasLogout } = services;
  if (hasLogout) app.register(logout, { ...options, services });
  if (clients !== null) {
    app.register((scope, _options, registered) => {
      readBodies(scope);
      scope.addHook('onRequest', authentication({ clients, now }));
      for (const endpoint of [
        ...[introspect, issueToken, refreshSession, revokeToken, listTokens, endTokens],
        users,
      ])
        scope.register(endpoint, { ...options, services });
      if (options.dashboard !== null) scope.register(options.dashboard, options);
      registered();
    });
  }
  done();
};

function reportFailures(app: FastifyInstance, { log }: AppOptions): void {
  app.setErrorHandler((error, request, reply) => {
    const isOauth = request.routeOptions.config.isOauth === true;
    const failure = isOauth ? oauthFailureOf(error) : failureOf(error);
    const { status, code, field } = failure;
    // Messages about a member quote what the client sent.
    log(request, { status, code, field, reason: field === undefined ? error : undefined });
    return sendFailure(request, reply, failure);
  });
}
