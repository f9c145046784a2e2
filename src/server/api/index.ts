import type { FastifyPluginCallback } from 'fastify';
import type { AppOptions } from '../app-options.js';
import { authentication } from './authentication.js';
import { readForms } from './bodies.js';
import { failureOf, sendFailure } from './failures.js';
import { introspect } from './introspect.js';

/** The endpoints for clients. They do not exist without configured clients. */
export const api: FastifyPluginCallback<AppOptions> = (app, options, done) => {
  const { clients, now, log } = options;
  if (clients === null) return done();
  readForms(app);
  app.addHook('onRequest', authentication({ clients, now }));
  app.addHook('onSend', async (_request, reply) => {
    reply.header('cache-control', 'no-store');
  });
  app.setErrorHandler((error, request, reply) => {
    const failure = failureOf(error);
    log(request, { status: failure.status, code: failure.code, reason: error });
    return sendFailure(request, reply, failure);
  });
  app.register(introspect, options);
  done();
};
