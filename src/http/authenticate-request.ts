import { type ErrorCode, JwtctlError } from '../domain/shared/errors.js';
import type { Acceptance } from '../domain/tokens/verify.js';
import type { Verifier } from '../verifier/create-verifier.js';
import { AMBIGUOUS, otherScheme, type RequestHead, requestToken } from './token-in-request.js';
import { type Answer, acceptance, NO_TOKEN, refusal, TWO_TOKENS, UNAVAILABLE } from './verify-responses.js';

/** The JOSE Header and Claims Set of the request's token. */
export type Auth = Pick<Acceptance, 'header' | 'payload'>;

export type Authentication =
  | { accepted: Acceptance; isAsked: true; code: 'active'; answer: Answer }
  /** `isAsked`: whether the request had a token to verify. */
  | { accepted: null; isAsked: boolean; code: ErrorCode; message: string; answer: Answer };

/** `code` and `message` are for the log only. @throws JwtctlError `ERR_CLOSED`; defects */
export async function authenticate(
  verifier: Pick<Verifier, 'verify'>,
  request: RequestHead,
  cookieName: string | null,
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
    if (result.active) return { accepted: result, isAsked: true, code: 'active', answer: acceptance(result) };
    return refused(result.error.code, result.error.message, refusal(result.reason));
  } catch (error) {
    if (!isUnavailable(error)) throw error;
    return refused(error.code, error.message, UNAVAILABLE);
  }
}

export function isUnavailable(error: unknown): error is JwtctlError {
  return error instanceof JwtctlError && error.kind === 'unavailable';
}

function refused(code: ErrorCode, message: string, answer: Answer): Authentication {
  return { accepted: null, isAsked: true, code, message, answer };
}

function notVerified(code: ErrorCode, message: string, answer: Answer): Authentication {
  return { accepted: null, isAsked: false, code, message, answer };
}
