import type { Context } from '../app/context.js';
import { closingOnFailure, openContext } from '../app/open-context.js';
import type { OpenOptions } from '../app/open-options.js';
import type { TokenMeta } from '../domain/model/token-meta.js';
import { JwtctlError } from '../domain/shared/errors.js';
import type { Actor } from '../domain/tokens/impersonation.js';
import type { IssuedToken } from '../domain/tokens/issued-token.js';
import { openStoreIssuer } from './store-issuer.js';

export interface OpenIssuer {
  /**
   * Signs a token, registers it, and writes an audit row with the actor `library`. Then returns the token.
   *
   * The issuer keeps the active key for up to 60 s. For that long after a rotation the old key may still
   * sign, and `verifyUntil` includes this time.
   *
   * @param request.sub 1 to 255 bytes of UTF-8 without control characters; must be an enabled user
   * @param request.aud default: `token.audience`
   * @param request.ttlSeconds default: `token.ttl`; at most `token.maxTtl`
   * @param request.claims claims other than the registered ones (RFC 7519 §4.1)
   * @param request.refresh whether to begin a session: the result then has a refresh token
   * @param request.clientId the client that the token is issued to. Required if `token.type` is `at+jwt`: the token then has
   * it as `client_id`. Only this client can use the refresh token
   * @param request.meta facts about the session, such as its device, shown by `token list`: at most 8 pairs, 512 bytes as JSON
   * @param request.act the operator who acts as the subject (RFC 8693 §4.1), and the reason for the audit log. The token lives
   * at most `token.actMaxTtl`, and has no refresh token
   * @throws JwtctlError `ERR_SUBJECT_INVALID`, `ERR_TTL_TOO_LONG` (usage), `ERR_USER_UNKNOWN` (not_found),
   * `ERR_USER_DISABLED`, `ERR_NO_ACTIVE_KEY` (state), kind `unavailable` if a store does not answer
   */
  issue(request: {
    sub: string;
    aud?: string | string[];
    ttlSeconds?: number;
    claims?: Record<string, unknown>;
    refresh?: boolean;
    meta?: TokenMeta;
    act?: Actor;
    clientId?: string;
  }): Promise<IssuedToken>;
  /**
   * Replaces a refresh token, and issues the next access token of its session. The new refresh token is valid
   * for `refresh.ttl`. For `refresh.grace`, the old one returns the same tokens again, so that two tabs or a
   * lost response do no harm.
   *
   * @throws JwtctlError `ERR_REFRESH_INVALID`, `ERR_REFRESH_EXPIRED`, `ERR_REFRESH_REVOKED` (refused);
   * `ERR_REFRESH_REUSED` (refused) if the token was used before that grace: this ends the session;
   * `ERR_USER_DISABLED` (state), kind `unavailable` if a store does not answer
   */
  refresh(refreshToken: string): Promise<IssuedToken>;
  /** Waits for what is under way, then closes every connection. */
  close(): Promise<void>;
}

/** Opens an issuer on the stores that the CLI uses. Options and errors are those of `openVerifier`. */
export async function openIssuer(options: OpenOptions = {}): Promise<OpenIssuer> {
  const context = await openContext(options);
  return closingOnFailure(context, async () => {
    const issuer = await openStoreIssuer(context);
    const lifecycle = lifecycleOf(context);
    const issue: OpenIssuer['issue'] = ({ sub, aud, ttlSeconds, claims, refresh, meta, clientId, act }) =>
      lifecycle.during(() =>
        issuer.issue({
          ...{ sub, ttlSeconds, claims, refresh, meta, clientId, act },
          aud: aud === undefined ? undefined : [aud].flat(),
        }),
      );
    const refreshSession = (refreshToken: string) => lifecycle.during(() => issuer.refresh({ refreshToken }));
    const opened: OpenIssuer = { issue, refresh: refreshSession, close: lifecycle.end };
    const tracing = await context.tracing();
    tracing?.trace(opened, 'issue', 'jwtctl.issue');
    tracing?.trace(opened, 'refresh', 'jwtctl.refresh');
    return opened;
  });
}

/** Later calls fail with `ERR_CLOSED` (state) instead of a driver's error. */
function lifecycleOf(context: Context) {
  const running = new Set<Promise<unknown>>();
  let isOver = false;
  return {
    during: async <T>(work: () => Promise<T>): Promise<T> => {
      if (isOver) throw new JwtctlError('ERR_CLOSED', 'The issuer is closed. Open another one.');
      const result = work();
      running.add(result);
      return result.finally(() => running.delete(result));
    },
    end: async (): Promise<void> => {
      isOver = true;
      await Promise.allSettled(running);
      await context.dispose();
    },
  };
}
