import type { RefusalReason } from '../domain/model/refusal.js';
import type { Acceptance } from '../domain/tokens/verify.js';

/** What a request is answered over HTTP: the same by the server, in Express and in Fastify. */
export interface Answer {
  status: number;
  headers: Readonly<Record<string, string>>;
  /** JSON; null for an acceptance, which has none. */
  body: string | null;
}

/** What Node's own response can do, and those of frameworks. */
export interface RawResponse {
  writeHead(status: number, headers: Readonly<Record<string, string>>): unknown;
  end(body: string | null): unknown;
}

export function writeAnswer(answer: Answer, response: RawResponse): void {
  response.writeHead(answer.status, answer.headers);
  response.end(answer.body);
}

/** What Fastify's reply can do. */
export interface FrameworkReply<Reply> {
  code(status: number): FrameworkReply<Reply>;
  headers(headers: Readonly<Record<string, string>>): FrameworkReply<Reply>;
  send(body: string | undefined): Reply;
}

/** The same by way of Fastify, where its hooks shall see it. */
export function sendAnswer<Reply>({ status, headers, body }: Answer, reply: FrameworkReply<Reply>): Reply {
  return reply
    .code(status)
    .headers(headers)
    .send(body ?? undefined);
}

const REALM = 'realm="jwtctl"';
// A verdict that somebody keeps would outlive a revocation.
const NOT_KEPT = 'no-store';

/**
 * Who it is, for what stands behind the proxy. The values are UTF-8 with whatever a header cannot carry, space and `%`
 * percent-encoded, so that `decodeURIComponent` gives back every subject.
 */
export function acceptance({ payload }: Acceptance): Answer {
  const headers = {
    'cache-control': NOT_KEPT,
    'x-auth-subject': headerText(payload.sub),
    'x-auth-jti': headerText(payload.jti),
    'content-length': '0',
  };
  return { status: 200, headers, body: null };
}

/** RFC 6750 §3.1; why exactly is for the log. */
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

/** A request without a token is told what is wanted and nothing else (RFC 6750 §3.1). */
export const NO_TOKEN = challenge(401, 'Invalid Token', REALM);

export const TWO_TOKENS = challenge(
  400,
  'Invalid Request',
  `${REALM}, error="invalid_request", error_description="More than one token is given"`,
);

/** A store that cannot answer is never an acceptance, and no refusal either: the same token may hold in a moment. */
export const UNAVAILABLE: Answer = errorAnswer(503, 'Service Unavailable', { 'retry-after': '1' });

function challenge(status: number, phrase: string, parameters: string): Answer {
  return errorAnswer(status, phrase, { 'www-authenticate': `Bearer ${parameters}` });
}

function errorAnswer(status: number, phrase: string, headers: Record<string, string>): Answer {
  const body = JSON.stringify({ error: phrase });
  const all = {
    'cache-control': NOT_KEPT,
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
