import type { Refusal } from '../domain/model/refusal-codes.js';
import type { ErrorCode } from '../domain/shared/errors.js';
import type { Shortfall } from '../domain/verification/check-policy.js';
import type { RequestPolicy } from '../domain/verification/request-policy.js';
import type { Acceptance } from '../domain/verification/verify.js';

/** The HTTP response to a request, shared by the server and the Express and Fastify integrations. */
export interface Answer {
  status: number;
  headers: Readonly<Record<string, string>>;
  /** JSON; null if the token is accepted. */
  body: string | null;
}

export interface RawResponse {
  writeHead(status: number, headers: Readonly<Record<string, string>>): unknown;
  end(body: string | null): unknown;
}

export function writeAnswer(answer: Answer, response: RawResponse): void {
  response.writeHead(answer.status, answer.headers);
  response.end(answer.body);
}

export interface FrameworkReply<Reply> {
  code(status: number): FrameworkReply<Reply>;
  headers(headers: Readonly<Record<string, string>>): FrameworkReply<Reply>;
  send(body: string | undefined): Reply;
}

/** Sends the answer through Fastify, so that its hooks run. */
export function sendAnswer<Reply>({ status, headers, body }: Answer, reply: FrameworkReply<Reply>): Reply {
  return reply
    .code(status)
    .headers(headers)
    .send(body ?? undefined);
}

const REALM = 'realm="jwtctl"';
// A cached verdict would outlive a revocation.
const NO_STORE = 'no-store';

/** @param claimHeaders more headers, with names in lower case */
export function acceptance({ payload }: Acceptance, claimHeaders: Readonly<Record<string, string>>): Answer {
  const headers = {
    'cache-control': NO_STORE,
    'x-auth-subject': headerText(payload.sub),
    'x-auth-jti': headerText(payload.jti),
    ...claimHeaders,
    'content-length': '0',
  };
  return { status: 200, headers, body: null };
}

/** Follows RFC 6750 §3.1. */
export function refusal({ reason, error: { code } }: Refusal): Answer {
  return challenge(401, reason, code, `${REALM}, error="invalid_token", error_description="${reason}"`);
}

/** Answers an accepted token that does not meet the policy. */
export function forbidden({ code }: Shortfall, { scope = [], maxAge }: RequestPolicy): Answer {
  if (code === 'ERR_LOGIN_TOO_OLD') {
    // RFC 9470 §3: the client can log the user in again.
    const parameters = `${REALM}, error="insufficient_user_authentication", max_age="${maxAge}"`;
    return challenge(401, 'Login Too Old', code, parameters);
  }
  const parameters = code === 'ERR_SCOPE_INSUFFICIENT' ? `, scope="${scope.join(' ')}"` : '';
  return challenge(403, 'Forbidden', code, `${REALM}, error="insufficient_scope"${parameters}`);
}

/** The challenge for a request without a token has no error code (RFC 6750 §3.1). */
export const NO_TOKEN = challenge(401, 'No Token', 'ERR_TOKEN_MISSING', REALM);

export const TWO_TOKENS = challenge(
  400,
  'Invalid Request',
  'ERR_TOKEN_AMBIGUOUS',
  `${REALM}, error="invalid_request", error_description="The request has more than one token"`,
);

/** Neither an acceptance nor a refusal, because the token may be valid. */
export function unavailable(code: ErrorCode): Answer {
  return errorAnswer(503, 'Service Unavailable', code, { 'retry-after': '1' });
}

/** No request can be accepted until an operator has acted. */
export function misconfigured(code: ErrorCode): Answer {
  return errorAnswer(500, 'Internal Server Error', code, {});
}

function challenge(status: number, phrase: string, code: ErrorCode, parameters: string): Answer {
  return errorAnswer(status, phrase, code, { 'www-authenticate': `Bearer ${parameters}` });
}

function errorAnswer(
  status: number,
  phrase: string,
  code: ErrorCode,
  headers: Record<string, string>,
): Answer {
  const body = JSON.stringify({ error: phrase, code });
  const all = {
    'cache-control': NO_STORE,
    'content-type': 'application/json; charset=utf-8',
    'content-length': String(Buffer.byteLength(body)),
    ...headers,
  };
  return { status, headers: all, body };
}

const ENCODED = /[^\x21-\x24\x26-\x7e]+/g;

/**
 * Percent-encodes space, `%`, and characters not allowed in headers; `decodeURIComponent` restores them. Half of a
 * surrogate pair has no UTF-8, so it becomes U+FFFD.
 */
export function headerText(text: string): string {
  return text.toWellFormed().replace(ENCODED, encodeURIComponent);
}
