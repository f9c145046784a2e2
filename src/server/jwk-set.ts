import { createHash } from 'node:crypto';
import type { FastifyPluginCallback } from 'fastify';
import { isUnavailable } from '../http/authenticate-request.js';
import { sendAnswer, unavailable } from '../http/verify-responses.js';
import type { AppOptions } from './app-options.js';

/** `/.well-known/jwks.json`: the JWK Set (RFC 7517 §5), for other verifiers. */
export const jwkSet: FastifyPluginCallback<AppOptions> = (app, options, done) => {
  const { verifier, log, jwkSetMaxAgeSeconds } = options;
  const cacheControl = `public, max-age=${jwkSetMaxAgeSeconds}`;
  app.get('/.well-known/jwks.json', async (request, reply) => {
    const startedAt = performance.now();
    try {
      const body = JSON.stringify(await verifier.jwkSet());
      const etag = `"${createHash('sha256').update(body).digest('base64url')}"`;
      reply.header('etag', etag).header('cache-control', cacheControl);
      if (isMatch(request.headers['if-none-match'], etag)) return reply.code(304).send();
      // As bytes, because Fastify adds a charset to text, and this media type has none (RFC 7517 §8.5.2).
      return reply.header('content-type', 'application/jwk-set+json').send(Buffer.from(body));
    } catch (error) {
      if (!isUnavailable(error)) throw error;
      const answer = unavailable(error.code);
      log(request, { status: answer.status, code: error.code, startedAt, reason: error });
      return sendAnswer(answer, reply);
    }
  });
  done();
};

/** Half of the lead, so that a client sees a new key before it signs, even if one fetch fails. */
export function jwkSetMaxAge(publishLeadSeconds: number): number {
  return Math.min(300, Math.floor(publishLeadSeconds / 2));
}

/** Compares weakly (RFC 9110 §13.1.2). */
function isMatch(ifNoneMatch: string | undefined, etag: string): boolean {
  if (ifNoneMatch === undefined) return false;
  if (ifNoneMatch.trim() === '*') return true;
  return ifNoneMatch.split(',').some((candidate) => candidate.trim().replace(/^W\//, '') === etag);
}
