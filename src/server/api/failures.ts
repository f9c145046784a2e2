import { STATUS_CODES } from 'node:http';
import type { FastifyError, FastifyReply, FastifyRequest } from 'fastify';
import type { ErrorCode } from '../../domain/shared/errors.js';
import { JwtctlError } from '../../domain/shared/errors.js';

declare module 'fastify' {
  interface FastifyContextConfig {
    /** Set for endpoints whose errors have the form of RFC 6749 §5.2. */
    isOauth?: true;
  }
}

/** What a client is told about an error. */
interface Failure {
  status: number;
  code: ErrorCode;
  message: string;
  /** The member of the body or the query that must change. */
  field?: string | undefined;
  headers?: Record<string, string> | undefined;
}

/** Throw this for a request that is not understood. Status 422. */
export function invalidRequest(field: string, message: string): JwtctlError {
  return new JwtctlError('ERR_REQUEST_INVALID', message, { details: { field } });
}

/** Throw this for a body that cannot be read. Status 400. */
export function unreadableRequest(message: string): JwtctlError {
  return new JwtctlError('ERR_REQUEST_INVALID', message);
}

export function failureOf(error: unknown): Failure {
  if (!(error instanceof JwtctlError)) return frameworkFailure(error);
  const { code, kind, message, details } = error;
  const field = typeof details.field === 'string' ? details.field : FIELDS[code];
  const status = code === 'ERR_REQUEST_INVALID' && field === undefined ? 400 : STATUSES[code];
  if (status !== undefined || field !== undefined) {
    return { status: status ?? 422, code, message, field, headers: headersOf(error) };
  }
  // The message may name hosts and files.
  if (kind === 'unavailable') {
    const said = 'A store does not respond. Send the request again.';
    return { status: 503, code, message: said, headers: { 'retry-after': '1' } };
  }
  // The state of the installation is not the client's fault, and an operator can change it.
  return kind === 'state' ? unavailableState(code) : defect(code);
}

function unavailableState(code: ErrorCode): Failure {
  const message = 'The server cannot do this at the moment. Its log has the details.';
  return { status: 503, code, message, headers: { 'retry-after': '10' } };
}

/** The same with the status codes of RFC 6749 §5.2: 400 for everything but a failed authentication of the client. */
export function oauthFailureOf(error: unknown): Failure {
  const failure = failureOf(error);
  if (failure.status === 422 || OAUTH_ERRORS[failure.code] !== undefined) return { ...failure, status: 400 };
  return failure.status === 409 ? unavailableState(failure.code) : failure;
}

/** Sends the error in the form of the endpoint. */
export function sendFailure(request: FastifyRequest, reply: FastifyReply, failure: Failure): FastifyReply {
  const { status, code, message, field, headers = {} } = failure;
  reply.code(status).headers(headers);
  if (request.routeOptions.config.isOauth === true) {
    const error = oauthErrorOf(failure);
    // The client must not learn whether the token exists and belongs to another one. The log has the reason.
    const description = error === 'invalid_grant' ? INVALID_GRANT : message;
    return reply.send({ error, error_description: descriptionOf(description) });
  }
  return reply.send({
    error: STATUS_CODES[status] ?? 'Error',
    code,
    message,
    ...(field === undefined ? {} : { field }),
  });
}

/** What the client can act on. Every other error is a failure of the server. */
const STATUSES: Readonly<Partial<Record<ErrorCode, number>>> = {
  ERR_CLIENT_FORBIDDEN: 403,
  ERR_CLIENT_MISMATCH: 400,
  ERR_CLIENT_UNAUTHENTICATED: 401,
  ERR_DASHBOARD_FULL: 503,
  ERR_GRANT_TYPE_UNSUPPORTED: 400,
  ERR_NO_ACTIVE_KEY: 409,
  ERR_REFRESH_EXPIRED: 400,
  ERR_REFRESH_INVALID: 400,
  ERR_REFRESH_REUSED: 400,
  ERR_REFRESH_REVOKED: 400,
  ERR_REVOCATION_IN_FUTURE: 409,
  ERR_SCOPE_INVALID: 400,
  ERR_TOKEN_LIMIT: 409,
  ERR_TOO_MANY_ATTEMPTS: 429,
  ERR_USERS_NOT_MANAGED: 409,
  ERR_USER_DISABLED: 403,
  ERR_USER_UNKNOWN: 404,
};

/** The member that an error of a rule is about. */
const FIELDS: Readonly<Partial<Record<ErrorCode, string>>> = {
  ERR_AUDIENCE_INVALID: 'aud',
  ERR_CLAIM_RESERVED: 'claims',
  ERR_JTI_INVALID: 'jti',
  ERR_META_INVALID: 'meta',
  ERR_NOT_BEFORE_INVALID: 'notBefore',
  ERR_NUMBER_INEXACT: 'claims',
  ERR_SCOPE_INVALID: 'scope',
  ERR_SUBJECT_INVALID: 'sub',
  ERR_TOKEN_TOO_LONG: 'claims',
  ERR_TTL_INVALID: 'ttl',
  ERR_TTL_TOO_LONG: 'ttl',
};

function headersOf({ code, details }: JwtctlError): Record<string, string> {
  if (code === 'ERR_CLIENT_UNAUTHENTICATED') return { 'www-authenticate': CHALLENGE };
  if (code === 'ERR_DASHBOARD_FULL') return { 'retry-after': '10' };
  return code === 'ERR_TOO_MANY_ATTEMPTS' ? { 'retry-after': String(details.waitSeconds) } : {};
}

const CHALLENGE = 'Basic realm="jwtctl", charset="UTF-8"';

/** Fastify refuses bodies that are too large, too slow, or of another type. Its messages may quote the body. */
function frameworkFailure(error: unknown): Failure {
  const { statusCode = 500 } = error as Partial<FastifyError>;
  if (statusCode >= 500) return defect('ERR_BUG');
  return {
    status: statusCode,
    code: 'ERR_REQUEST_INVALID',
    message: MESSAGES[statusCode] ?? 'The request could not be read.',
  };
}

const MESSAGES: Readonly<Record<number, string>> = {
  413: 'The body is too large.',
  415: 'The body has a Content-Type that this endpoint does not read.',
};

function defect(code: ErrorCode): Failure {
  return { status: 500, code, message: 'The server failed. Its log has the details.' };
}

const INVALID_GRANT = 'The refresh token is invalid, expired, revoked, or issued to another client.';

/** The errors that have a name of their own in RFC 6749 §5.2. */
const OAUTH_ERRORS: Readonly<Partial<Record<ErrorCode, string>>> = {
  ERR_CLIENT_FORBIDDEN: 'unauthorized_client',
  // RFC 7009 §2.1 requires an error, and names none.
  ERR_CLIENT_MISMATCH: 'unauthorized_client',
  ERR_GRANT_TYPE_UNSUPPORTED: 'unsupported_grant_type',
  ERR_REFRESH_EXPIRED: 'invalid_grant',
  ERR_REFRESH_INVALID: 'invalid_grant',
  ERR_REFRESH_REUSED: 'invalid_grant',
  ERR_REFRESH_REVOKED: 'invalid_grant',
  ERR_SCOPE_INVALID: 'invalid_scope',
  ERR_USER_DISABLED: 'invalid_grant',
  ERR_USER_UNKNOWN: 'invalid_grant',
};

/** RFC 6749 §5.2 and §4.1.2.1. No RFC has a name for too many attempts. */
function oauthErrorOf({ code, status }: Failure): string {
  const names: Record<number, string> = {
    401: 'invalid_client',
    429: 'too_many_attempts',
    503: 'temporarily_unavailable',
  };
  return OAUTH_ERRORS[code] ?? names[status] ?? (status < 500 ? 'invalid_request' : 'server_error');
}

/** Keeps the characters that RFC 6749 §5.2 allows. */
function descriptionOf(message: string): string {
  return message.replaceAll('"', "'").replace(/[^\x20-\x7e]|\\/g, '?');
}
