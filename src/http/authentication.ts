import { type ErrorCode, JwtctlError } from '../domain/shared/errors.js';
import type { Acceptance } from '../domain/tokens/verify.js';
import type { Verifier } from '../verifier/verifier.js';
import { type Answer, acceptance, NO_TOKEN, refusal, TWO_TOKENS, UNAVAILABLE } from './answer.js';
import { AMBIGUOUS, type RequestHead, requestToken } from './request-token.js';

/** What the token of a request says: its JOSE Header and its Claims Set. */
export type Auth = Pick<Acceptance, 'header' | 'payload'>;

/** Who makes a request, or what it is answered instead. */
export type Authentication =
  | { accepted: Acceptance; isAsked: true; code: 'active'; answer: Answer }
  /** `isAsked`: whether there was a token that the verifier could be asked about. */
  | { accepted: null; isAsked: boolean; code: ErrorCode; message: string; answer: Answer };

/**
 * Takes the token of a request and verifies it.
 *
 * @returns with `code` and `message` for the log; the answer tells a stranger neither
 * @throws what is neither a verdict nor a store that cannot answer: a defect, or a verifier that is closed
 */
export async function authenticate(
  verifier: Pick<Verifier, 'verify'>,
  request: RequestHead,
  cookieName: string | null,
): Promise<Authentication> {
  const token = requestToken(request, cookieName);
  if (token === null) return notVerified('ERR_TOKEN_MISSING', 'The request has no token.', NO_TOKEN);
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
