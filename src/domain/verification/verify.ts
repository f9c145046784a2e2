import type { VerificationKey } from '../jose/verification-key.js';
import { type CheckName, checkOf, type Refusal } from '../model/refusal-codes.js';
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
 * Performs the four checks in order. Before the signature check, only a valid `kid` reaches a query; for a legacy token,
 * also its `sub` and registry ID.
 */
export async function verifyToken(token: string, ports: VerificationPorts): Promise<VerificationResult> {
  return (await verifyWithKey(token, ports)).result;
}

export interface Verification {
  result: VerificationResult;
  /** The key that made the signature; null if none did, or it is not known yet. A legacy token may lack it in its header. */
  kid: string | null;
  /**
   * The checks that the token passed. A check that is not listed either refused the token or was not performed. For a legacy token,
   * the claims are checked first.
   */
  passed: readonly CheckName[];
}

export async function verifyWithKey(token: string, ports: VerificationPorts): Promise<Verification> {
  const checked = await checkToken(token, ports);
  if ('refusal' in checked) return { result: checked.refusal, kid: checked.kid, passed: checked.passed };
  const { claims, kid } = checked;
  const { sub, jti, iat, exp } = claims;
  const tokenStatus = await ports.findStatus({ sub, jti, kid, iat, exp, issuedAt: checked.issuedAt });
  const refusal = checkStatus(tokenStatus, claims, kid);
  if (refusal !== null) {
    const passed = checkOf(refusal.error.code) === 'user' ? BEFORE_USER : BEFORE_REGISTRY;
    return { result: refusal, kid, passed };
  }
  return { result: { active: true, header: checked.header, payload: claims }, kid, passed: ALL };
}

const BEFORE_REGISTRY = ['signature', 'claims'] as const;
const BEFORE_USER = [...BEFORE_REGISTRY, 'registry'] as const;
const ALL = [...BEFORE_USER, 'user'] as const;

type Checked = (CheckedToken & { issuedAt: number }) | (Omit<Verification, 'result'> & { refusal: Refusal });

async function checkToken(token: string, ports: VerificationPorts): Promise<Checked> {
  const { policy, legacy } = ports;
  const jws = await checkJws(token, ports, policy);
  const checked = 'active' in jws ? jws : checkClaims(jws.payload, policy, ports.now());
  if (!('active' in checked))
    return { ...(jws as SignedToken), claims: checked.claims, issuedAt: checked.claims.iat };
  // The `typ` is read after the signature is verified.
  const isSigned = !('active' in jws) || jws.error.code === 'ERR_TOKEN_TYPE_REFUSED';
  const kid = 'active' in jws ? null : jws.kid;
  const refused: Checked = { refusal: checked, kid, passed: isSigned ? ['signature'] : [] };
  if (legacy === undefined) return refused;
  const found = await checkLegacyToken(token, checked, legacy, policy, ports.now());
  if (!('active' in found)) return found;
  return found === checked ? refused : { refusal: found, kid: null, passed: passedByLegacy(found) };
}

/** For a legacy token, the claims come first, then the entry, and then the signature. */
function passedByLegacy({ error: { code } }: Refusal): readonly CheckName[] {
  if (code === 'ERR_REGISTRATION_MISMATCH') return BEFORE_REGISTRY;
  // No entry was read if legacy tokens are no longer accepted, which has this code too.
  if (code === 'ERR_KEY_UNKNOWN') return [];
  return checkOf(code) === 'claims' ? [] : ['claims'];
}
