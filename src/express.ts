import type { ErrorCode } from './domain/shared/errors.js';
import type { RequestPolicyInput } from './domain/verification/request-policy.js';
import { type Auth, authenticate, type RequestVerifier } from './http/authenticate-request.js';
import { policyOf } from './http/policy-option.js';
import type { RequestHead } from './http/token-in-request.js';
import { type RawResponse, writeAnswer } from './http/verify-responses.js';

export type { Auth } from './http/authenticate-request.js';

declare global {
  namespace Express {
    interface Request {
      /** Set by `jwtctlAuth` for a valid token. */
      auth?: Auth;
    }
  }
}

export interface JwtctlAuthOptions {
  /** The cookie that may contain the token if no `Authorization` header does. Default: none */
  cookie?: string;
  /**
   * What the token must meet in addition: `{ aud, scope, claims, maxAge }`, as a policy of `serve.policies`. A token that
   * does not is answered with 403. Use one middleware for each policy.
   */
  policy?: RequestPolicyInput;
  /**
   * Called with the reason for each refused request, for your log. The response does not include it.
   *
   * @param refusal.code a refusal such as `ERR_TOKEN_EXPIRED`, `ERR_TOKEN_MISSING`, `ERR_TOKEN_AMBIGUOUS`, or
   * a store's error
   */
  onRefusal?: (refusal: { code: ErrorCode; message: string; status: number }) => unknown;
}

interface Request extends RequestHead {
  auth?: Auth;
}

/**
 * Returns a middleware for Express 5 and other frameworks that call `(req, res, next)`. It sets `req.auth`
 * and calls `next` for a valid token. It answers all other requests as `/verify` of `jwtctl serve` does: 401
 * with an RFC 6750 challenge and `{"error", "code"}`, 403 if the policy is not met, 400 for more than one token, 503 if
 * a store does not answer. `next` gets an error only for a defect, or `ERR_CLOSED` if the verifier is closed.
 *
 * @param verifier from `openVerifier` or `createVerifier`; the middleware never closes it
 * @throws JwtctlError `ERR_OPTION_INVALID` (usage) for an invalid policy
 */
export function jwtctlAuth(verifier: RequestVerifier, options: JwtctlAuthOptions = {}) {
  const { cookie = null, onRefusal = () => {} } = options;
  const policy = policyOf(options);
  return async (req: Request, res: RawResponse, next: (error?: unknown) => void): Promise<void> => {
    try {
      const authentication = await authenticate(verifier, req, cookie, policy);
      if (authentication.accepted === null) {
        const { code, message, answer } = authentication;
        await onRefusal({ code, message, status: answer.status });
        writeAnswer(answer, res);
        return;
      }
      const { header, payload } = authentication.accepted;
      req.auth = { header, payload };
    } catch (error) {
      // `next` accepts the request without an error, and takes 'route' and 'router' as commands.
      next(error instanceof Error ? error : new Error('The verification failed.', { cause: error }));
      return;
    }
    next();
  };
}
