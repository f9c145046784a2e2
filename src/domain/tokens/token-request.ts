import { MAX_TOKEN_CHARACTERS } from '../jose/jws.js';
import { newRandomId } from '../model/random-id.js';
import { parseSubject } from '../model/subject.js';
import { assertUsableMeta, type TokenMeta } from '../model/token-meta.js';
import type { OnLimit } from '../ports/index.js';
import { describeValue } from '../shared/describe-value.js';
import { formatDuration } from '../shared/duration.js';
import { type ErrorCode, JwtctlError } from '../shared/errors.js';
import { assertExactValue } from '../shared/json-numbers.js';
import { excerpt } from '../shared/text.js';
import { type Claims, RESERVED_CLAIMS } from '../verification/check-claims.js';
import { checkClaimedType } from '../verification/token-type.js';
import { type Actor, assertMayAct, lifetimeOf, metaOf } from './impersonation.js';

export interface IssuerPolicy {
  issuer: string;
  audience: string;
  /** The `typ` header. A token of the type `at+jwt` has a `client_id` (RFC 9068 §2.2). Default: `JWT` */
  type?: 'JWT' | 'at+jwt' | undefined;
  /** The types that verifiers accept. Default: as for a verifier */
  acceptTypes?: readonly string[] | undefined;
  ttlSeconds: number;
  maxTtlSeconds: number;
  /** Longest lifetime of a token with an `act`. */
  actMaxTtlSeconds: number;
  statusTtlSeconds: number;
  clockToleranceSeconds: number;
  refreshTtlSeconds: number;
  /** How long a session can last, however often it is refreshed. */
  refreshMaxAgeSeconds?: number | undefined;
  /** How long after its use a refresh token returns the same new tokens. */
  refreshGraceSeconds: number;
  /** Claims that come from the user table, so that no request may set them. */
  userClaims?: readonly string[] | undefined;
  maxPerSubject?: number | undefined;
  /** What happens to a token beyond `maxPerSubject`. Default: `evict` */
  onLimit?: OnLimit | undefined;
}

export interface TokenRequest {
  sub: string;
  aud?: string[] | undefined;
  ttlSeconds?: number | undefined;
  /** Sets `nbf`, from now. */
  notBeforeSeconds?: number | undefined;
  claims?: Record<string, unknown> | undefined;
  /** Shown with the session, for example `{ device: 'iPhone' }`. At most 8 pairs, 512 bytes as JSON. */
  meta?: TokenMeta | undefined;
  /** The operator who acts as the subject. Such a token is short-lived and has no refresh token. */
  act?: Actor | undefined;
  /** Whether to begin a session: to issue a refresh token with the token. */
  refresh?: boolean | undefined;
  /** The client that the token is issued to, and the only one that may use the refresh token (RFC 6749 §6). */
  clientId?: string | undefined;
}

/** @throws JwtctlError (usage) for an invalid request */
export function assertUsable(request: TokenRequest, policy: IssuerPolicy): void {
  const { sub, aud, notBeforeSeconds = 0, claims = {} } = request;
  const ttlSeconds = lifetimeOf(request, policy);
  parseSubject(sub);
  if (!Number.isSafeInteger(ttlSeconds) || ttlSeconds < 1) {
    throw unusable(
      'ERR_TTL_INVALID',
      `The lifetime is ${describeValue(ttlSeconds)}; expected a whole number of seconds above zero.`,
    );
  }
  if (ttlSeconds > policy.maxTtlSeconds) {
    const longest = formatDuration(policy.maxTtlSeconds);
    throw unusable(
      'ERR_TTL_TOO_LONG',
      `The lifetime is ${formatDuration(ttlSeconds)}; expected at most ${longest} (\`token.maxTtl\`).`,
      'Use a shorter lifetime, or raise `token.maxTtl`.',
    );
  }
  if (notBeforeSeconds >= ttlSeconds) {
    throw unusable('ERR_NOT_BEFORE_INVALID', 'The token would expire before it becomes valid.');
  }
  if (request.refresh === true && request.notBeforeSeconds !== undefined) {
    throw unusable('ERR_NOT_BEFORE_INVALID', 'A token with a refresh token must be valid at once.');
  }
  if (aud?.length === 0)
    throw unusable('ERR_AUDIENCE_INVALID', 'The aud is an empty array; expected at least one string.');
  for (const audience of aud ?? []) {
    if (typeof audience === 'string' && audience !== '') continue;
    const what = describeValue(audience);
    throw unusable('ERR_AUDIENCE_INVALID', `The aud is ${what}; expected a string that is not empty.`);
  }
  const registered = RESERVED_CLAIMS.find((claim) => Object.hasOwn(claims, claim));
  if (registered !== undefined) {
    throw unusable(
      'ERR_CLAIM_RESERVED',
      `The registered claim ${registered} cannot be set as a custom claim.`,
      'Use the flags for sub, aud, exp, nbf, and act. iss is `token.issuer`; iat and jti are generated.',
    );
  }
  const otherType = checkClaimedType(claims, policy.acceptTypes);
  if (otherType !== null)
    throw new JwtctlError(otherType.error.code, otherType.error.message, { kind: 'usage' });
  assertUsableClient(request, policy);
  const ofUser = policy.userClaims?.find((claim) => Object.hasOwn(claims, claim));
  if (ofUser !== undefined) {
    throw unusable(
      'ERR_CLAIM_RESERVED',
      `The claim ${excerpt(ofUser)} cannot be set, because it comes from the user table (\`users.claims\`).`,
      'Leave the claim out, or remove it from `users.claims`.',
    );
  }
  for (const [claim, value] of Object.entries(claims)) assertExactValue(value, `The claim ${excerpt(claim)}`);
  assertMayAct(request, policy);
  const meta = metaOf(request);
  if (meta !== undefined) assertUsableMeta(meta);
}

function assertUsableClient({ clientId, claims = {} }: TokenRequest, { type }: IssuerPolicy): void {
  if (clientId === undefined) {
    if (type === 'at+jwt') throw clientMissing();
    return;
  }
  if (typeof clientId !== 'string' || !/^[^\p{Cc}]{1,255}$/u.test(clientId)) {
    const expected = '1 to 255 characters without control characters';
    throw unusable(
      'ERR_CLIENT_ID_INVALID',
      `The client ID is ${describeValue(clientId)}; expected ${expected}.`,
    );
  }
  // Else a client could pass for another one.
  if (Object.hasOwn(claims, 'client_id') && claims.client_id !== clientId) {
    throw unusable(
      'ERR_CLAIM_RESERVED',
      `The claim client_id cannot be set, because it names the client that the token is issued to: ${excerpt(clientId)}.`,
      'Leave the claim out.',
    );
  }
}

export function clientMissing(): JwtctlError {
  return unusable(
    'ERR_CLIENT_ID_INVALID',
    'The token needs the ID of the client that it is issued to, because token.type is at+jwt.',
  );
}

/** @param longestSeconds shortens the lifetime that was requested */
export function claimsSet(
  request: TokenRequest,
  policy: IssuerPolicy,
  now: number,
  userClaims?: Readonly<Record<string, unknown>> | undefined,
  jti = newRandomId(),
  longestSeconds = Number.POSITIVE_INFINITY,
): Claims {
  const { aud = [policy.audience], act, notBeforeSeconds } = request;
  const registered = {
    iss: policy.issuer,
    sub: request.sub,
    aud: aud.length === 1 ? (aud[0] as string) : aud,
    iat: now,
    exp: now + Math.min(lifetimeOf(request, policy), longestSeconds),
    jti,
  };
  const requested = requestedClaims(request, policy);
  const hasOthers = requested !== undefined || userClaims !== undefined || policy.type === 'at+jwt';
  // Usual in a bulk command, where copying nothing into each claims set takes measurable time.
  if (!hasOthers && act === undefined && notBeforeSeconds === undefined) return registered;
  return {
    ...requested,
    ...userClaims,
    ...(policy.type === 'at+jwt' && { client_id: request.clientId }),
    ...(act !== undefined && { act: { sub: act.sub } }),
    ...(notBeforeSeconds !== undefined && { nbf: now + notBeforeSeconds }),
    ...registered,
  };
}

/** Returns undefined if there are none. A session may have begun before `users.claims` had a claim. */
function requestedClaims(
  { claims }: TokenRequest,
  { userClaims }: IssuerPolicy,
): Readonly<Record<string, unknown>> | undefined {
  if (claims === undefined || Object.keys(claims).length === 0) return undefined;
  if (userClaims === undefined || userClaims.length === 0) return claims;
  return Object.fromEntries(Object.entries(claims).filter(([claim]) => !userClaims.includes(claim)));
}

export function assertReadable({ length }: string): void {
  if (length <= MAX_TOKEN_CHARACTERS) return;
  throw unusable(
    'ERR_TOKEN_TOO_LONG',
    `The token would have ${length} characters; verifiers accept at most ${MAX_TOKEN_CHARACTERS}.`,
    'Use fewer or shorter claims.',
  );
}

function unusable(code: ErrorCode, message: string, hint?: string): JwtctlError {
  return new JwtctlError(code, message, { hint });
}
