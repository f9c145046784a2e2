import type { FastifyPluginCallback } from 'fastify';
import type { RequestPolicy, RequestPolicyInput } from './domain/verification/request-policy.js';
import { type Auth, authenticate, type RequestVerifier } from './http/authenticate-request.js';
import { policyOf } from './http/policy-option.js';
import { sendAnswer } from './http/verify-responses.js';

export type { Auth } from './http/authenticate-request.js';

declare module 'fastify' {
  interface FastifyRequest {
    /** Set by `jwtctlPlugin` before the handlers of its scope run; null outside of it. */
    auth: Auth | null;
  }
}

export interface JwtctlPluginOptions {
  /** From `openVerifier` or `createVerifier`. The plugin never closes it. */
  verifier: RequestVerifier;
  /** The cookie that may contain the token if no `Authorization` header does. Default: none */
  cookie?: string;
  /**
   * What the token must meet in addition: `{ aud, scope, claims, maxAge }`, as a policy of `serve.policies`. A token that
   * does not is answered with 403.
   */
  policy?: RequestPolicyInput;
}

/**
 * A plugin for Fastify 5. In its scope, it sets `request.auth` for a valid token, and answers all other
 * requests as `/verify` of `jwtctl serve` does: 401 with an RFC 6750 challenge and `{"error", "code"}`, 403 if the
 * policy is not met, 400 for more than one token, 503 if a store does not answer. It logs the reason to `request.log` (info; error
 * if a store failed).
 */
export const jwtctlPlugin: FastifyPluginCallback<JwtctlPluginOptions> = (app, options, done) => {
  const { verifier, cookie = null } = options;
  let policy: RequestPolicy | null;
  try {
    policy = policyOf(options);
  } catch (error) {
    // Fastify does not catch what a plugin with a callback throws.
    return done(error as Error);
  }
  // A nested scope may register the plugin again with its own verifier.
  if (!app.hasRequestDecorator('auth')) app.decorateRequest('auth', null);
  app.addHook('onRequest', async (request, reply) => {
    const authentication = await authenticate(verifier, request.raw, cookie, policy);
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

// As fastify-plugin does: the hook applies to the scope that registers the plugin, not to one below it.
Object.assign(jwtctlPlugin, {
  [Symbol.for('skip-override')]: true,
  [Symbol.for('fastify.display-name')]: 'jwtctl',
});
