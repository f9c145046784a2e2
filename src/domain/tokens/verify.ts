import type { VerificationKey } from '../jose/verification-key.js';
import { type Refusal, refuse } from '../model/refusal.js';
import type { UserStatus } from '../model/user.js';
import { type CheckedToken, checkJws, type SignedToken } from './check-jws.js';
import { type AcceptedClaims, type Claims, type ClaimsPolicy, checkClaims } from './claims.js';
import { checkLegacyToken, type LegacyPorts } from './legacy.js';

/** The status of a token in the registry, the security log, and the user directory. */
export interface TokenStatus {
  entry: { kid: string; iat: number; exp: number } | null;
  user: UserStatus | 'unknown';
  /** Whether an event of the security log covers the token. */
  revoked: boolean;
}

export interface VerificationPorts {
  findKey(kid: string): Promise<VerificationKey | null | undefined> | VerificationKey | null | undefined;
  findStatus(token: {
    sub: string;
    jti: string;
    kid: string;
    iat: number;
    exp: number;
  }): Promise<TokenStatus> | TokenStatus;
  /** Without it, no legacy token is accepted. */
  legacy?: LegacyPorts | undefined;
  policy: ClaimsPolicy;
  /** NumericDate seconds. */
  now(): number;
}

export interface Acceptance {
  active: true;
  /** The JOSE Header. */
  header: Record<string, unknown>;
  /** The Claims Set. */
  payload: AcceptedClaims;
}

export type VerificationResult = Acceptance | Refusal;

/** Makes the four checks in order. Before the signature check, only a valid `kid` reaches a query. */
export async function verifyToken(token: string, ports: VerificationPorts): Promise<VerificationResult> {
  const checked = await checkToken(token, ports);
  if ('active' in checked) return checked;
  const { claims, kid } = checked;
  const { sub, jti, iat, exp } = claims;
  const tokenStatus = await ports.findStatus({ sub, jti, kid, iat, exp });
  return checkStatus(tokenStatus, claims, kid) ?? { active: true, header: checked.header, payload: claims };
}

async function checkToken(
  token: string,
  { policy, now, legacy, ...ports }: VerificationPorts,
): Promise<CheckedToken | Refusal> {
  const jws = await checkJws(token, ports);
  const checked = 'active' in jws ? jws : checkClaims(jws.payload, policy, now());
  if ('active' in checked)
    return legacy === undefined ? checked : checkLegacyToken(token, checked, legacy, policy, now());
  return { ...(jws as SignedToken), claims: checked.claims };
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
