import type { FastifyPluginCallback } from 'fastify';
import { sendAnswer } from './http/answer.js';
import { type Auth, authenticate } from './http/authentication.js';
import type { Verifier } from './verifier/verifier.js';

export type { Auth } from './http/authentication.js';

declare module 'fastify' {
  interface FastifyRequest {
    /** Set by `jwtctlPlugin`, before any handler of its scope runs; null outside of it. */
    auth: Auth | null;
  }
}

export interface JwtctlPluginOptions {
  /** Of `openVerifier` or `createVerifier`; whoever opened it closes it. */
  verifier: Pick<Verifier, 'verify'>;
  /** The cookie that a token is taken from where no `Authorization` header holds one. Default: none is. */
  cookie?: string;
}

/**
 * A plugin for Fastify 5: in the scope that it is registered in, lets requests through whose token holds, with
 * `request.auth`, and answers all others as `/verify` of `jwtctl serve` does: 401 with a challenge of RFC 6750 and
 * `{"error": phrase}`, 400 for a request with more than one token, 503 where a store cannot answer. Why goes to
 * `request.log` (info; error where a store failed), by its code.
 */
export const jwtctlPlugin: FastifyPluginCallback<JwtctlPluginOptions> = (app, { verifier, cookie }, done) => {
  // A scope within another may have a verifier of its own.
  if (!app.hasRequestDecorator('auth')) app.decorateRequest('auth', null);
  app.addHook('onRequest', async (request, reply) => {
    const authentication = await authenticate(verifier, request.raw, cookie ?? null);
    if (authentication.accepted === null) {
      const { code, message, answer } = authentication;
      request.log[answer.status === 503 ? 'error' : 'info']({ code }, message);
      return sendAnswer(answer, reply);
    }
    const { header, payload } = authentication.accepted;
    request.auth = { header, payload };
  });
  done();
};

// What the package fastify-plugin sets: the hook belongs to the scope of whoever registers this, not to a scope below.
Object.assign(jwtctlPlugin, {
  [Symbol.for('skip-override')]: true,
  [Symbol.for('fastify.display-name')]: 'jwtctl',
});
