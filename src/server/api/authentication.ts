import type { FastifyRequest, onRequestAsyncHookHandler } from 'fastify';
import type { Right } from '../../config/serve-clients.js';
import { JwtctlError } from '../../domain/shared/errors.js';
import type { Client, Clients } from './clients.js';
import { FailedAttempts } from './failed-attempts.js';

declare module 'fastify' {
  interface FastifyContextConfig {
    /** What a client must be allowed to do to call this route. */
    right?: Right;
    /** Set if the route concerns tokens whose audience is not known, so that only clients of all audiences may call it. */
    concernsAllAudiences?: true;
  }
  interface FastifyRequest {
    /** The client that authenticated; null for endpoints without clients. */
    client: Client | null;
  }
}

/** Runs before the body is read, so that unauthenticated bodies are never read. */
export function authentication({
  clients,
  now,
}: {
  clients: Clients;
  now(): number;
}): onRequestAsyncHookHandler {
  const attempts = new FailedAttempts(now);
  return async (request) => {
    const { right, concernsAllAudiences } = request.routeOptions.config;
    const { authorization } = request.headers;
    // Not 401, because this secret was not checked.
    const waitSeconds = attempts.waitSeconds(request.ip);
    if (waitSeconds !== null) throw tooManyAttempts(waitSeconds);
    const client = await clients.authenticate(authorization);
    if (client === null) {
      if (authorization !== undefined) attempts.add(request.ip, authorization);
      throw new JwtctlError('ERR_CLIENT_UNAUTHENTICATED', 'The client did not authenticate.');
    }
    request.client = client;
    if (right === undefined || !client.may.has(right))
      throw forbidden(`The client lacks the right "${right}".`);
    if (concernsAllAudiences === true && client.audiences !== null) {
      throw forbidden(
        'The client is limited to some audiences, but the registry does not know the audience of a token.',
      );
    }
  };
}

/** The client of a request that the hook above let through. */
export function clientOf({ client }: FastifyRequest): Client {
  if (client === null) throw new JwtctlError('ERR_BUG', 'A request without a client reached an endpoint.');
  return client;
}

/** The name of the client in the audit log. */
export function actorOf(client: Client): string {
  return `client:${client.id}`;
}

/** Returns whether the client may issue, see, and end a token with this `aud`. */
export function mayUseAudience({ audiences }: Client, aud: unknown): boolean {
  return audiences === null || [aud].flat().every((audience) => audiences.has(String(audience)));
}

export function forbidden(message: string): JwtctlError {
  return new JwtctlError('ERR_CLIENT_FORBIDDEN', message);
}

function tooManyAttempts(waitSeconds: number): JwtctlError {
  return new JwtctlError(
    'ERR_TOO_MANY_ATTEMPTS',
    'Too many wrong credentials from this address. Its requests are refused for up to a minute.',
    { details: { waitSeconds } },
  );
}
