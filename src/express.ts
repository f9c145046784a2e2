import type { ErrorCode } from './domain/shared/errors.js';
import { type RawResponse, writeAnswer } from './http/answer.js';
import { type Auth, authenticate } from './http/authentication.js';
import type { RequestHead } from './http/request-token.js';
import type { Verifier } from './verifier/verifier.js';

export type { Auth } from './http/authentication.js';

declare global {
  namespace Express {
    interface Request {
      /** Set by `jwtctlAuth` for a token that holds. */
      auth?: Auth;
    }
  }
}

export interface JwtctlAuthOptions {
  /** The cookie that a token is taken from where no `Authorization` header holds one. Default: none is. */
  cookie?: string;
  /**
   * Told why a request is not let through, for your log: the answer does not say.
   *
   * @param refusal.code `ERR_TOKEN_EXPIRED` …; `ERR_TOKEN_MISSING`, `ERR_TOKEN_AMBIGUOUS`; or what a store failed with
   */
  onRefusal?: (refusal: { code: ErrorCode; message: string; status: number }) => void;
}

interface Request extends RequestHead {
  auth?: Auth;
}

/**
 * A middleware for Express 5 and whatever else calls `(req, res, next)`: lets requests through whose token holds,
 * with `req.auth`, and answers all others as `/verify` of `jwtctl serve` does: 401 with a challenge of RFC 6750 and
 * `{"error": phrase}`, 400 for a request with more than one token, 503 where a store cannot answer.
 *
 * @param verifier of `openVerifier` or `createVerifier`; whoever opened it closes it
 * @returns what it calls `next` with is a defect, or `ERR_CLOSED` of a verifier that is closed
 */
export function jwtctlAuth(verifier: Pick<Verifier, 'verify'>, options: JwtctlAuthOptions = {}) {
  const { cookie = null, onRefusal = () => {} } = options;
  return async (req: Request, res: RawResponse, next: (error?: unknown) => void): Promise<void> => {
    try {
      const authentication = await authenticate(verifier, req, cookie);
      if (authentication.accepted === null) {
        const { code, message, answer } = authentication;
        onRefusal({ code, message, status: answer.status });
        writeAnswer(answer, res);
        return;
      }
      const { header, payload } = authentication.accepted;
      req.auth = { header, payload };
    } catch (error) {
      next(error);
      return;
    }
    next();
  };
}
