import type { IncomingMessage } from 'node:http';
import type { FastifyPluginCallback } from 'fastify';
import { type Authentication, authenticate, type Denial } from '../http/authenticate-request.js';
import { type Answer, acceptance, misconfigured, writeAnswer } from '../http/verify-responses.js';
import type { AppOptions } from './app-options.js';

const PATH = '/verify';

/**
 * For nginx auth_request, Traefik ForwardAuth, and Envoy ext_authz. The subrequest has the original method,
 * and with Envoy also the original path and query.
 */
export const forwardAuth: FastifyPluginCallback<AppOptions> = (app, options, done) => {
  const { verifier, metrics, log, cookie, claimHeaders } = options;
  const policies = new Map(Object.entries(options.policies));
  const decide = async (request: IncomingMessage, url: string): Promise<Authentication> => {
    const name = policyName(url);
    if (name === null) return authenticate(verifier, request, cookie);
    const policy = policies.get(name);
    return policy === undefined ? UNKNOWN_POLICY : authenticate(verifier, request, cookie, policy);
  };
  const answerTo = (authentication: Authentication): Denial | { answer: Answer; code: 'active' } => {
    if (authentication.accepted === null) return authentication;
    const { accepted, token } = authentication;
    const headers = claimHeaders.of(accepted, token);
    return headers === null ? TOO_LONG : { answer: acceptance(accepted, headers), code: 'active' };
  };
  app.route({
    method: app.supportedMethods,
    url: PATH,
    // Runs before Fastify parses the body or its type, which belong to the original request.
    onRequest: async (request, reply) => {
      const startedAt = performance.now();
      const authentication = await decide(request.raw, request.originalUrl);
      const decided = answerTo(authentication);
      const { answer, code } = decided;
      const ms = authentication.isAsked ? performance.now() - startedAt : null;
      metrics.verdict(code, ms, code === 'active' ? (authentication.accepted?.payload ?? null) : null);
      const reason = 'message' in decided ? decided.message : undefined;
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

/**
 * Returns `orders` for `/verify/@orders` and for the paths below it; null for paths without a policy. Proxies may
 * escape the @ or double the slash. That must not drop the policy.
 */
export function policyName(url: string): string | null {
  return POLICY.exec(url)?.[1] ?? null;
}

const POLICY = new RegExp(`^${PATH}/+(?:@|%40)([^/?]*)`);

const UNKNOWN_POLICY: Denial = {
  ...{ accepted: null, isAsked: false, code: 'ERR_POLICY_UNKNOWN' },
  message: 'The path names a policy that serve.policies does not have.',
  answer: misconfigured('ERR_POLICY_UNKNOWN'),
};

const TOO_LONG: Denial = {
  ...{ accepted: null, isAsked: true, code: 'ERR_HEADERS_TOO_LONG' },
  message: 'The headers of serve.headers would be longer than 4096 bytes, or a claim is nested too deep.',
  answer: misconfigured('ERR_HEADERS_TOO_LONG'),
};
