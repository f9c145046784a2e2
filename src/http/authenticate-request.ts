import { decodeToken } from '../domain/jose/jws.js';
import { isLegacyId } from '../domain/model/legacy-id.js';
import { type ErrorCode, JwtctlError } from '../domain/shared/errors.js';
import { checkPolicy } from '../domain/verification/check-policy.js';
import type { RequestPolicy } from '../domain/verification/request-policy.js';
import type { Acceptance } from '../domain/verification/verify.js';
import type { Verifier, VerifierClock } from '../verifier/create-verifier.js';
import { AMBIGUOUS, otherScheme, type RequestHead, requestToken } from './token-in-request.js';
import { type Answer, forbidden, NO_TOKEN, refusal, TWO_TOKENS, unavailable } from './verify-responses.js';

/** The JOSE Header and Claims Set of the request's token. */
export type Auth = Pick<Acceptance, 'header' | 'payload'>;

export type Authentication = { accepted: Acceptance; token: string; isAsked: true; code: 'active' } | Denial;

export interface Denial {
  accepted: null;
  /** Whether the request had a token to verify. */
  isAsked: boolean;
  code: ErrorCode;
  /** For the log only. */
  message: string;
  answer: Answer;
}

/** A wrapper around a verifier may lack the clock. */
export type RequestVerifier = Pick<Verifier, 'verify'> & Partial<Pick<Verifier, 'clock'>>;

const HOST_CLOCK: VerifierClock = { now: () => Math.floor(Date.now() / 1000), toleranceSeconds: 5 };

/**
 * @param cookieName null for none
 * @param policy what an accepted token must meet in addition
 * @throws JwtctlError `ERR_CLOSED`; defects
 */
export async function authenticate(
  verifier: RequestVerifier,
  request: RequestHead,
  cookieName: string | null,
  policy: RequestPolicy | null = null,
): Promise<Authentication> {
  const token = requestToken(request, cookieName);
  if (token === null) {
    const scheme = otherScheme(request);
    const message =
      scheme === null
        ? 'The request has no token.'
        : `The Authorization header has the scheme ${scheme}; expected Bearer.`;
    return notVerified('ERR_TOKEN_MISSING', message, NO_TOKEN);
  }
  if (token === AMBIGUOUS) {
    return notVerified('ERR_TOKEN_AMBIGUOUS', 'The request has more than one token.', TWO_TOKENS);
  }
  try {
    const result = await verifier.verify(token);
    if (!result.active) return refused(result.error.code, result.error.message, refusal(result));
    return (
      notMet(result, token, policy, verifier.clock) ?? {
        accepted: result,
        token,
        isAsked: true,
        code: 'active',
      }
    );
  } catch (error) {
    if (!isUnavailable(error)) throw error;
    return refused(error.code, error.message, unavailable(error.code));
  }
}

export function isUnavailable(error: unknown): error is JwtctlError {
  return error instanceof JwtctlError && error.kind === 'unavailable';
}

function notMet(
  { payload }: Acceptance,
  token: string,
  policy: RequestPolicy | null,
  clock: VerifierClock = HOST_CLOCK,
): Denial | null {
  if (policy === null) return null;
  const iat = hasOwnTime(payload.jti, token) ? payload.iat : 0;
  const shortfall = checkPolicy({ ...payload, iat }, policy, clock.now(), clock.toleranceSeconds);
  return shortfall && refused(shortfall.code, shortfall.message, forbidden(shortfall, policy));
}

/** The `iat` of a legacy token without one is the time of its registration, which says nothing about its age. */
function hasOwnTime(jti: string, token: string): boolean {
  if (!isLegacyId(jti)) return true;
  const decoded = decodeToken(token);
  return typeof decoded !== 'string' && (decoded.payload.iat ?? null) !== null;
}

function refused(code: ErrorCode, message: string, answer: Answer): Denial {
  return { accepted: null, isAsked: true, code, message, answer };
}

function notVerified(code: ErrorCode, message: string, answer: Answer): Denial {
  return { accepted: null, isAsked: false, code, message, answer };
}
