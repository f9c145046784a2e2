import { type Refusal, refuse } from '../model/refusal-codes.js';
import type { UserStatus } from '../model/user.js';
import type { Claims } from './check-claims.js';

/** The status of a token in the registry, the security log, and the user directory. */
export interface TokenStatus {
  entry: { kid: string; iat: number; exp: number } | null;
  user: UserStatus | 'unknown';
  /** Whether an event of the security log covers the token. */
  revoked: boolean;
}

/** Makes the last two checks. Accepts only exact values, because the status may come from external code. */
export function checkStatus(
  tokenStatus: TokenStatus,
  claims: Pick<Claims, 'iat' | 'exp'>,
  kid: string,
): Refusal | null {
  const { entry, user } = tokenStatus;
  if (tokenStatus.revoked !== false) return refuse('ERR_TOKEN_REVOKED', 'The token has been revoked.');
  if (typeof entry !== 'object' || entry === null)
    return refuse('ERR_TOKEN_NOT_REGISTERED', 'The token is not in the registry.');
  if (entry.kid !== kid || entry.iat !== claims.iat || entry.exp !== claims.exp) {
    return refuse(
      'ERR_REGISTRATION_MISMATCH',
      'The registry has this jti with a different kid, iat, or exp.',
    );
  }
  if (user === 'enabled') return null;
  return user === 'unknown' || user === null || user === undefined
    ? refuse('ERR_USER_UNKNOWN', 'The user of the token does not exist.')
    : refuse('ERR_USER_DISABLED', 'The user of the token is disabled.');
}
