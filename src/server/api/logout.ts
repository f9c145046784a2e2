import type { FastifyPluginCallback } from 'fastify';
import { revokeToken } from '../../domain/tokens/revoke.js';
import { authenticate } from '../../http/authenticate-request.js';
import { sendAnswer } from '../../http/verify-responses.js';
import type { ApiOptions } from './api-options.js';

/** The length of the column in the audit log. Subjects may be as long. */
const MOST_ACTOR_CHARACTERS = 255;

/** `POST /logout`: ends the token of the request, and its session. */
export const logout: FastifyPluginCallback<ApiOptions> = (app, options, done) => {
  const { services, verifier, cookie, log, metrics } = options;
  // The body does not matter, whatever its type.
  app.removeAllContentTypeParsers();
  app.addContentTypeParser('*', (_request, _body, parsed) => parsed(null));
  app.post('/logout', async (request, reply) => {
    const startedAt = performance.now();
    const authentication = await authenticate(verifier, request.raw, cookie);
    if (authentication.accepted === null) {
      const { answer, code, message } = authentication;
      log(request, { status: answer.status, code, startedAt, reason: message });
      return sendAnswer(answer, reply);
    }
    const { sub, jti } = authentication.accepted.payload;
    const ports = services.administrationBy(`user:${sub}`.slice(0, MOST_ACTOR_CHARACTERS).toWellFormed());
    const options = { reason: null, dryRun: false };
    const { revoked } = await revokeToken(ports, services.lifetime, { sub, jti }, options);
    metrics.revoked(revoked);
    log(request, { status: 204, code: 'revoked', startedAt });
    return reply.code(204).send();
  });
  done();
};
