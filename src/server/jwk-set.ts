import { createHash } from 'node:crypto';
import type { FastifyPluginCallback } from 'fastify';
import { sendAnswer, UNAVAILABLE } from '../http/answer.js';
import { isUnavailable } from '../http/authentication.js';
import type { AppOptions } from './app-options.js';

/** `/.well-known/jwks.json`: the JWK Set (RFC 7517 §5), for whoever verifies by themselves. */
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
      // As bytes: to a text Fastify would add a charset, which this media type has none of (RFC 7517 §8.5.2).
      return reply.header('content-type', 'application/jwk-set+json').send(Buffer.from(body));
    } catch (error) {
      if (!isUnavailable(error)) throw error;
      log(request, { status: UNAVAILABLE.status, code: error.code, startedAt, reason: error });
      return sendAnswer(UNAVAILABLE, reply);
    }
  });
  done();
};

/**
 * For how long the set may be kept: a verifier that fetched it a moment before a key was published has to see that key
 * before it signs, also where its fetch fails once.
 */
export function jwkSetMaxAge(publishLeadSeconds: number): number {
  return Math.min(300, Math.floor(publishLeadSeconds / 2));
}

/** RFC 9110 §13.1.2, compared weakly. */
function isMatch(ifNoneMatch: string | undefined, etag: string): boolean {
  if (ifNoneMatch === undefined) return false;
  if (ifNoneMatch.trim() === '*') return true;
  return ifNoneMatch.split(',').some((candidate) => candidate.trim().replace(/^W\//, '') === etag);
}
