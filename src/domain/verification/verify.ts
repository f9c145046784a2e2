import type { VerificationKey } from '../jose/verification-key.js';
import type { Refusal } from '../model/refusal-codes.js';
import { type AcceptedClaims, type ClaimsPolicy, checkClaims } from './check-claims.js';
import { type CheckedToken, checkJws, type SignedToken } from './check-jws.js';
import { checkLegacyToken, type LegacyPorts } from './check-legacy.js';
import { checkStatus, type TokenStatus } from './check-status.js';

/** A token with a valid signature and valid claims. */
export interface VerifiedToken {
  sub: string;
  jti: string;
  kid: string;
  iat: number;
  exp: number;
}

export interface VerificationPorts {
  findKey(kid: string): Promise<VerificationKey | null | undefined> | VerificationKey | null | undefined;
  /** @param token.issuedAt revocations are compared with it: the `iat`, or 0 for a legacy token without one */
  findStatus(token: VerifiedToken & { issuedAt: number }): Promise<TokenStatus> | TokenStatus;
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

/**
 * Makes the four checks in order. Before the signature check, only a valid `kid` reaches a query; for a legacy token,
 * also its `sub` and registry ID.
 */
export async function verifyToken(token: string, ports: VerificationPorts): Promise<VerificationResult> {
  return (await verifyWithKey(token, ports)).result;
}

/** Also returns the `kid` of the key that made the signature, which a legacy token may not name; null if none did. */
export async function verifyWithKey(
  token: string,
  ports: VerificationPorts,
): Promise<{ result: VerificationResult; kid: string | null }> {
  const checked = await checkToken(token, ports);
  if ('active' in checked) return { result: checked, kid: null };
  const { claims, kid } = checked;
  const { sub, jti, iat, exp } = claims;
  const tokenStatus = await ports.findStatus({ sub, jti, kid, iat, exp, issuedAt: checked.issuedAt });
  const refusal = checkStatus(tokenStatus, claims, kid);
  return { result: refusal ?? { active: true, header: checked.header, payload: claims }, kid };
}

async function checkToken(
  token: string,
  ports: VerificationPorts,
): Promise<(CheckedToken & { issuedAt: number }) | Refusal> {
  const { policy, legacy } = ports;
  const jws = await checkJws(token, ports, policy);
  const checked = 'active' in jws ? jws : checkClaims(jws.payload, policy, ports.now());
  if ('active' in checked)
    return legacy === undefined ? checked : checkLegacyToken(token, checked, legacy, policy, ports.now());
  return { ...(jws as SignedToken), claims: checked.claims, issuedAt: checked.claims.iat };
}
