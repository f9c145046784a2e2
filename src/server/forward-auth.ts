import type { IncomingMessage } from 'node:http';
import type { FastifyPluginCallback } from 'fastify';
import { writeAnswer } from '../http/answer.js';
import { authenticate } from '../http/authentication.js';
import type { AppOptions } from './app-options.js';

const PATH = '/verify';

/**
 * `/verify`: whether a request may pass, for a proxy that asks (nginx auth_request, Traefik ForwardAuth, Envoy ext_authz).
 * They ask with the method of the original request, and Envoy with its path and query behind ours.
 */
export const forwardAuth: FastifyPluginCallback<AppOptions> = (app, options, done) => {
  const { verifier, metrics, log, cookie } = options;
  app.route({
    method: app.supportedMethods,
    url: PATH,
    // Before anything is made of the body, or of what is said to be its type: both are the original request's.
    onRequest: async (request, reply) => {
      const startedAt = performance.now();
      const authentication = await authenticate(verifier, request.raw, cookie);
      const { answer, code, isAsked } = authentication;
      metrics.verdict(code, isAsked ? performance.now() - startedAt : null);
      const reason = authentication.accepted === null ? authentication.message : undefined;
      log(request, { status: answer.status, code, startedAt, reason });
      // Past Fastify, whose handling of headers takes longer than all else here.
      reply.hijack();
      writeAnswer(answer, reply.raw);
    },
    handler: () => {},
  });
  done();
};

/** Whatever follows our path is the original request's, and is not looked at. */
export function forwardAuthUrl({ url = '/' }: Pick<IncomingMessage, 'url'>): string {
  const follows = url[PATH.length];
  return url.startsWith(PATH) && (follows === '/' || follows === '?') ? PATH : url;
}
