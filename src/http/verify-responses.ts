import type { RefusalReason } from '../domain/model/refusal-codes.js';
import type { Acceptance } from '../domain/tokens/verify.js';

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

/** Percent-encodes space, `%`, and characters not allowed in headers; `decodeURIComponent` restores them. */
export function acceptance({ payload }: Acceptance): Answer {
  const headers = {
    'cache-control': NO_STORE,
    'x-auth-subject': headerText(payload.sub),
    'x-auth-jti': headerText(payload.jti),
    'content-length': '0',
  };
  return { status: 200, headers, body: null };
}

/** Follows RFC 6750 §3.1. The exact reason is only logged. */
export function refusal(reason: RefusalReason): Answer {
  return REFUSALS[reason];
}

const REFUSALS: Record<RefusalReason, Answer> = {
  'Token Expired': invalidToken('Token Expired'),
  'Invalid Token': invalidToken('Invalid Token'),
  'Authorization Failure': invalidToken('Authorization Failure'),
};

function invalidToken(phrase: RefusalReason): Answer {
  return challenge(401, phrase, `${REALM}, error="invalid_token", error_description="${phrase}"`);
}

/** The challenge for a request without a token has no error code (RFC 6750 §3.1). */
export const NO_TOKEN = challenge(401, 'Invalid Token', REALM);

export const TWO_TOKENS = challenge(
  400,
  'Invalid Request',
  `${REALM}, error="invalid_request", error_description="The request has more than one token"`,
);

/** Neither an acceptance nor a refusal, because the token may be valid. */
export const UNAVAILABLE: Answer = errorAnswer(503, 'Service Unavailable', { 'retry-after': '1' });

function challenge(status: number, phrase: string, parameters: string): Answer {
  return errorAnswer(status, phrase, { 'www-authenticate': `Bearer ${parameters}` });
}

function errorAnswer(status: number, phrase: string, headers: Record<string, string>): Answer {
  const body = JSON.stringify({ error: phrase });
  const all = {
    'cache-control': NO_STORE,
    'content-type': 'application/json; charset=utf-8',
    'content-length': String(Buffer.byteLength(body)),
    ...headers,
  };
  return { status, headers: all, body };
}

const ENCODED = /[^\x21-\x24\x26-\x7e]+/g;

function headerText(text: string): string {
  return text.replace(ENCODED, encodeURIComponent);
}
