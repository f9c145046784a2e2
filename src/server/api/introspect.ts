import type { FastifyPluginCallback } from 'fastify';
import type { AcceptedClaims } from '../../domain/verification/check-claims.js';
import { isUnavailable } from '../../http/authenticate-request.js';
import type { AppOptions } from '../app-options.js';
import { clientOf, mayUseAudience } from './authentication.js';
import { formToken } from './form.js';

/** RFC 7662. */
export const introspect: FastifyPluginCallback<AppOptions> = (app, options, done) => {
  const { verifier, metrics, log } = options;
  app.post<{ Body: unknown }>(
    '/introspect',
    { config: { right: 'introspect', isOauth: true } },
    async (request) => {
      const startedAt = performance.now();
      const token = formToken(request.body);
      try {
        const result = await verifier.verify(token);
        const code = result.active ? 'active' : result.error.code;
        metrics.verdict(code, performance.now() - startedAt, result.active ? result.payload : null);
        if (result.active && !mayUseAudience(clientOf(request), result.payload.aud)) {
          log(request, { status: 200, code: 'ERR_AUDIENCE_MISMATCH', startedAt, reason: NOT_FOR_CLIENT });
          return { active: false };
        }
        const reason = result.active ? undefined : result.error.message;
        log(request, { status: 200, code, startedAt, reason });
        return result.active ? introspected(result.payload) : { active: false };
      } catch (error) {
        if (isUnavailable(error)) metrics.verdict(error.code, performance.now() - startedAt, null);
        throw error;
      }
    },
  );
  done();
};

const NOT_FOR_CLIENT = 'The client is not allowed to use the audience of the token.';

/** RFC 7662 §2.2. */
function introspected(claims: AcceptedClaims): Record<string, unknown> {
  const { scope, client_id, username, exp, iat, nbf, sub, aud, iss, jti } = claims;
  const texts = textMembers({ scope, client_id, username });
  return { active: true, ...texts, token_type: 'Bearer', exp, iat, nbf, sub, aud, iss, jti };
}

/** Keeps members that are strings, as the RFC requires. */
function textMembers(members: Record<string, unknown>): Record<string, string> {
  const texts = Object.entries(members).filter(
    (member): member is [string, string] => typeof member[1] === 'string',
  );
  return Object.fromEntries(texts);
}
