import type { FastifyPluginCallback } from 'fastify';
import type { AppOptions } from '../app-options.js';
import { authentication } from './authentication.js';
import { readBodies } from './bodies.js';
import { failureOf, sendFailure } from './failures.js';
import { introspect } from './introspect.js';
import { issueToken } from './issue-token.js';

/** The endpoints for clients. They do not exist without configured clients. */
export const api: FastifyPluginCallback<AppOptions> = (app, options, done) => {
  const { api: services, now, log } = options;
  if (services === null) return done();
  readBodies(app);
  app.addHook('onRequest', authentication({ clients: services.clients, now }));
  app.addHook('onSend', async (_request, reply) => {
    reply.header('cache-control', 'no-store');
  });
  app.setErrorHandler((error, request, reply) => {
    const failure = failureOf(error);
    log(request, { status: failure.status, code: failure.code, reason: error });
    return sendFailure(request, reply, failure);
  });
  for (const endpoint of [introspect, issueToken]) app.register(endpoint, { ...options, services });
  done();
};
