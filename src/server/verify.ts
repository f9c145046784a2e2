import type { IncomingMessage } from 'node:http';
import type { FastifyPluginCallback } from 'fastify';
import { authenticate } from '../http/authenticate-request.js';
import { writeAnswer } from '../http/verify-responses.js';
import type { AppOptions } from './app-options.js';

const PATH = '/verify';

/**
 * For nginx auth_request, Traefik ForwardAuth, and Envoy ext_authz. The subrequest has the original method,
 * and with Envoy also the original path and query.
 */
export const forwardAuth: FastifyPluginCallback<AppOptions> = (app, options, done) => {
  const { verifier, metrics, log, cookie } = options;
  app.route({
    method: app.supportedMethods,
    url: PATH,
    // Runs before Fastify parses the body or its type, which belong to the original request.
    onRequest: async (request, reply) => {
      const startedAt = performance.now();
      const authentication = await authenticate(verifier, request.raw, cookie);
      const { answer, code, isAsked } = authentication;
      const ms = isAsked ? performance.now() - startedAt : null;
      metrics.verdict(code, ms, authentication.accepted?.payload ?? null);
      const reason = authentication.accepted === null ? authentication.message : undefined;
      log(request, { status: answer.status, code, startedAt, reason });
      // Bypasses Fastify, whose handling of headers takes longer than everything else here.
      reply.hijack();
      writeAnswer(answer, reply.raw);
    },
    handler: () => {},
  });
  done();
};

/** Ignores the original request's path and query after `/verify`. */
export function forwardAuthUrl({ url = '/' }: Pick<IncomingMessage, 'url'>): string {
  const follows = url[PATH.length];
  return url.startsWith(PATH) && (follows === '/' || follows === '?') ? PATH : url;
}
