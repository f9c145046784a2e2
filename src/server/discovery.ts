import type { FastifyPluginCallback } from 'fastify';
import type { Right } from '../config/serve-clients.js';
import { isUnavailable } from '../http/authenticate-request.js';
import { sendAnswer, unavailable } from '../http/verify-responses.js';
import type { AppOptions } from './app-options.js';

const OPENID = '/.well-known/openid-configuration';
const OAUTH = '/.well-known/oauth-authorization-server';

/**
 * The documents in which libraries look up the URLs of an issuer: OpenID Connect Discovery, and RFC 8414. A proxy maps
 * the path of `serve.publicUrl` to the root of this server.
 */
export const discovery: FastifyPluginCallback<AppOptions> = (app, options, done) => {
  const { publicUrl, rights, verifier, log, jwkSetMaxAgeSeconds } = options;
  if (publicUrl === null) return done();
  const cacheControl = `public, max-age=${jwkSetMaxAgeSeconds}`;
  const paths = documentPaths(publicUrl);
  // Fastify would take a colon or an asterisk of the issuer's path for a parameter.
  for (const url of [OPENID, OAUTH, `${OPENID}/*`, `${OAUTH}/*`]) {
    app.get(url, async (request, reply) => {
      if (!paths.includes(request.originalUrl.replace(/\?.*/, ''))) return reply.callNotFound();
      const startedAt = performance.now();
      try {
        const { keys } = await verifier.jwkSet();
        const isRefreshable = app.hasRoute({ method: 'POST', url: '/token' });
        const metadata = serverMetadata(publicUrl, {
          rights: new Set([...rights].filter((right) => right !== 'refresh' || isRefreshable)),
          algorithms: keys.map(({ alg }) => alg),
        });
        return reply.header('cache-control', cacheControl).send(metadata);
      } catch (error) {
        if (!isUnavailable(error)) throw error;
        const answer = unavailable(error.code);
        log(request, { status: answer.status, code: error.code, startedAt, reason: error });
        return sendAnswer(answer, reply);
      }
    });
  }
  done();
};

/** RFC 8414 §3.1 puts the path of the issuer after the well-known one. The proxy sends OpenID's path without it. */
export function documentPaths(issuer: string): string[] {
  const path = new URL(issuer).pathname.replace(/\/$/, '');
  return [...new Set([OPENID, OAUTH, `${OPENID}${path}`, `${OAUTH}${path}`])];
}

/** RFC 8414 §2, with what OpenID Connect Discovery §3 requires in addition. */
function serverMetadata(
  issuer: string,
  { rights, algorithms }: { rights: ReadonlySet<Right>; algorithms: readonly string[] },
): Record<string, unknown> {
  const root = issuer.replace(/\/$/, '');
  const basic = ['client_secret_basic'];
  return {
    issuer,
    jwks_uri: `${root}/.well-known/jwks.json`,
    ...(rights.has('refresh')
      ? {
          token_endpoint: `${root}/token`,
          token_endpoint_auth_methods_supported: basic,
          grant_types_supported: ['refresh_token'],
        }
      : {}),
    ...(rights.has('introspect')
      ? { introspection_endpoint: `${root}/introspect`, introspection_endpoint_auth_methods_supported: basic }
      : {}),
    ...(rights.has('revoke')
      ? { revocation_endpoint: `${root}/revoke`, revocation_endpoint_auth_methods_supported: basic }
      : {}),
    // Required. There is no authorization endpoint, and an empty list must be left out (RFC 8414 §3.2).
    response_types_supported: ['none'],
    subject_types_supported: ['public'],
    // RS256 must be in the list (OpenID Connect Discovery §3).
    id_token_signing_alg_values_supported: [...new Set(['RS256', ...algorithms])],
  };
}
