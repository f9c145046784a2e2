import { parseJsonObject } from '../jose/jws.js';
import type { VerificationKey } from '../jose/verification-key.js';
import { isKid } from '../model/kid.js';
import { legacyId } from '../model/legacy-id.js';
import { type Refusal, type RefusalCode, refuse } from '../model/refusal-codes.js';
import type { LegacyEntry } from '../ports/index.js';
import { describeEnd } from '../shared/last-day.js';
import {
  type AcceptedClaims,
  type ClaimsPolicy,
  checkLegacyClaims,
  isComplete,
  type LegacyClaims,
} from './check-claims.js';
import { type CheckedToken, checkKey, parseJws } from './check-jws.js';
import { checkType } from './token-type.js';

export interface LegacyPorts<Key extends VerificationKey = VerificationKey> {
  /** Legacy tokens are accepted before this time. NumericDate seconds; null if never. */
  acceptUntil: number | null;
  /** Returns what the entry stores; null if there is none. The token is not verified yet. */
  findEntry(sub: string, id: string): Promise<LegacyEntry | null>;
  findKey(keyId: number): Promise<Key | null>;
  /** Whether the security log names this token. */
  isRevoked(sub: string, id: string): Promise<boolean> | boolean;
}

export interface LegacyToken<Key extends VerificationKey = VerificationKey> extends CheckedToken<Key> {
  /** The token's own times: a registration does not make a token valid later. */
  times: { exp: number; iat?: number; nbf?: number };
  /**
   * Its own `iat`, which revocations are compared with. Without one it is 0, because the token may be older than any
   * revocation, and a client that can write to Redis could change the time of registration.
   */
  issuedAt: number;
}

/**
 * Performs the first two checks of a token that was registered with `--legacy`. Returns `refusal`, the result of
 * the checks for other tokens, if the token lacks nothing. The registry is asked before the signature check,
 * because its entry names the only key that may have signed the token.
 */
export async function checkLegacyToken<Key extends VerificationKey>(
  token: string,
  refusal: Refusal,
  ports: LegacyPorts<Key>,
  policy: ClaimsPolicy,
  now: number,
): Promise<LegacyToken<Key> | Refusal> {
  if (!mayBeLegacy(refusal.error.code)) return refusal;
  const jws = parseJws(token);
  if ('active' in jws) return refusal;
  const { header, signingInput } = jws;
  if (ports.acceptUntil === null || !(now < ports.acceptUntil))
    return isKid(header.kid) ? refusal : noLongerAccepted(ports.acceptUntil);
  const payload = parseJsonObject(jws.payload);
  if (payload === null) return refusal;
  if (!isLegacy(payload, { hasKey: refusal.error.code !== 'ERR_KEY_UNKNOWN' })) return refusal;
  const checked = checkLegacyClaims(payload, policy, now);
  if ('active' in checked) return checked;

  const { claims } = checked;
  const id = legacyId(signingInput);
  const entry = await ports.findEntry(claims.sub, id);
  if (entry === null) {
    if (await ports.isRevoked(claims.sub, id))
      return refuse('ERR_TOKEN_REVOKED', 'The token has been revoked.');
    if (isComplete(payload) && isKid(header.kid)) return refusal;
    return refuse('ERR_TOKEN_NOT_REGISTERED', 'The token is not in the registry.');
  }
  const key = await ports.findKey(entry.keyId);
  if (key === null) return refuse('ERR_KEY_UNKNOWN', "The key of the token's entry does not exist.");
  const signature = (await checkKey(jws, key)) ?? checkType(header, policy.acceptTypes);
  if (signature !== null) return signature;
  if (claims.iat !== null && claims.iat !== entry.iat)
    return refuse('ERR_REGISTRATION_MISMATCH', 'The registry has this token with a different iat.');
  const { exp, iat, nbf } = claims;
  const times = { exp, ...(iat === null ? {} : { iat }), ...(nbf === null ? {} : { nbf }) };
  const accepted = asAccepted(payload, claims, { ...entry, id });
  return { kid: key.kid, key, header, claims: accepted, times, issuedAt: iat ?? 0 };
}

function noLongerAccepted(acceptUntil: number | null): Refusal {
  const why = acceptUntil === null ? 'is not set' : `ended ${describeEnd(acceptUntil)}`;
  return refuse('ERR_KEY_UNKNOWN', `The token has no kid, and token.acceptLegacy ${why}.`);
}

/**
 * Whether a token is one of those that `token register --legacy` takes: no key has its `kid`, or it lacks one, or its
 * Claims Set is not complete.
 */
export function isLegacy(payload: Record<string, unknown>, { hasKey }: { hasKey: boolean }): boolean {
  return !hasKey || !isComplete(payload);
}

/** Whether the checks for other tokens refused the token for something that a legacy token may lack. */
export function mayBeLegacy(code: RefusalCode): boolean {
  return code === 'ERR_KEY_UNKNOWN' || code === 'ERR_CLAIM_INVALID';
}

/** Returns the claims as {@link checkClaims} would return them for a token that lacks nothing. */
function asAccepted(
  payload: Record<string, unknown>,
  { sub, exp, nbf }: LegacyClaims,
  { id, iat }: LegacyEntry & { id: string },
): AcceptedClaims {
  const { iss, aud, nbf: _, ...others } = payload;
  return {
    ...(iss === undefined || iss === null ? {} : { iss: iss as string }),
    ...(aud === undefined || aud === null ? {} : { aud: aud as string | string[] }),
    ...(nbf === null ? {} : { nbf }),
    ...others,
    ...{ sub, exp, iat, jti: id },
  };
}
