import { createHash, timingSafeEqual } from 'node:crypto';
import type { FastifyPluginCallback, FastifyReply } from 'fastify';
import type { AcceptedClaims } from '../domain/tokens/check-claims.js';
import { isUnavailable } from '../http/authenticate-request.js';
import { sendAnswer, UNAVAILABLE } from '../http/verify-responses.js';
import type { AppOptions, Client } from './app-options.js';
import { FailedAttempts } from './failed-attempts.js';

/** RFC 7662. Introspection reveals tokens' contents, so the route needs a configured client. */
export const introspection: FastifyPluginCallback<AppOptions> = (app, options, done) => {
  const { verifier, metrics, log, client, now } = options;
  if (client === null) return done();
  const attempts = new FailedAttempts(now);
  app.addContentTypeParser(
    'application/x-www-form-urlencoded',
    { parseAs: 'string' },
    (_request, body, parsed) => {
      parsed(null, new URLSearchParams(String(body)));
    },
  );
  app.addHook('onSend', async (_request, reply) => {
    reply.header('cache-control', 'no-store');
  });

  app.post<{ Body: unknown }>(
    '/introspect',
    {
      // Runs before the body is read, so that unauthenticated bodies are never read.
      onRequest: async (request, reply) => {
        const { authorization } = request.headers;
        // Not 401, because this secret was not checked.
        const waitSeconds = attempts.waitSeconds(request.ip);
        if (waitSeconds !== null) {
          log(request, { status: 429, code: 'ERR_TOO_MANY_ATTEMPTS', reason: TOO_MANY_ATTEMPTS });
          return sendError(reply.header('retry-after', waitSeconds), 429, 'too_many_attempts');
        }
        if (isClient(authorization, client)) return;
        if (authorization !== undefined) attempts.add(request.ip, authorization);
        log(request, { status: 401, code: 'ERR_CLIENT_UNAUTHENTICATED', reason: NOT_AUTHENTICATED });
        return sendError(reply.header('www-authenticate', CHALLENGE), 401, 'invalid_client');
      },
    },
    async (request, reply) => {
      const startedAt = performance.now();
      const tokens = request.body instanceof URLSearchParams ? request.body.getAll('token') : [];
      // RFC 6749 §3.2: a parameter must not be repeated.
      if (tokens.length !== 1) {
        log(request, { status: 400, code: 'ERR_TOKEN_MISSING', startedAt });
        return sendError(reply, 400, 'invalid_request');
      }
      try {
        const result = await verifier.verify(tokens[0] as string);
        const code = result.active ? 'active' : result.error.code;
        metrics.verdict(code, performance.now() - startedAt, result.active ? result.payload : null);
        const reason = result.active ? undefined : result.error.message;
        log(request, { status: 200, code, startedAt, reason });
        return result.active ? introspected(result.payload) : { active: false };
      } catch (error) {
        if (!isUnavailable(error)) throw error;
        metrics.verdict(error.code, performance.now() - startedAt, null);
        log(request, { status: UNAVAILABLE.status, code: error.code, startedAt, reason: error });
        return sendAnswer(UNAVAILABLE, reply);
      }
    },
  );
  done();
};

const CHALLENGE = 'Basic realm="jwtctl", charset="UTF-8"';
const NOT_AUTHENTICATED = 'The client did not authenticate.';
const TOO_MANY_ATTEMPTS =
  'Too many wrong credentials from this address. Its requests are refused for up to a minute.';

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

/** RFC 6749 §2.3.1 requires form-urlencoding, but not every client does it. */
function isClient(authorization: string | undefined, { id, secret }: Client): boolean {
  const encoded = /^basic +([A-Za-z0-9+/=_-]+)$/i.exec(authorization ?? '')?.[1] ?? '';
  const credentials = Buffer.from(encoded, 'base64').toString('utf8');
  const colon = credentials.indexOf(':');
  const parts = [credentials.slice(0, Math.max(colon, 0)), credentials.slice(colon + 1)] as const;
  const isPlain = both(isSame(parts[0], id), isSame(parts[1], secret));
  const isEncoded = both(isSame(formDecoded(parts[0]), id), isSame(formDecoded(parts[1]), secret));
  return colon !== -1 && (isPlain || isEncoded);
}

/** Unlike `&&`, always evaluates both comparisons, so the time does not depend on the first one. */
function both(one: boolean, other: boolean): boolean {
  return one && other;
}

function isSame(one: string, other: string): boolean {
  return timingSafeEqual(digest(one), digest(other));
}

function digest(text: string): Buffer {
  return createHash('sha256').update(text).digest();
}

function formDecoded(text: string): string {
  return new URLSearchParams(`x=${text.replaceAll('&', '%26')}`).get('x') ?? '';
}

function sendError(reply: FastifyReply, status: number, error: string): FastifyReply {
  return reply.code(status).send({ error });
}
