import { parseCompactJws, parseJsonObject } from '../jose/jws.js';
import { checkSignature } from '../jose/signature.js';
import { publicKeyOf, type VerificationKey } from '../jose/verification-key.js';
import { isForeignKid, isKid } from '../model/kid.js';
import { type Refusal, refuse } from '../model/refusal.js';
import { isKeyState, isSigningAlgorithm, isTrusted, SIGNING_ALGORITHMS } from '../model/signing-key.js';
import type { UserStatus } from '../model/user.js';
import { describeClaim } from '../shared/describe-value.js';
import { excerpt } from '../shared/text.js';
import { type Claims, type ClaimsPolicy, checkClaims } from './claims.js';

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
  policy: ClaimsPolicy;
  /** NumericDate seconds. */
  now(): number;
}

export interface Acceptance {
  active: true;
  /** The JOSE Header. */
  header: Record<string, unknown>;
  /** The Claims Set. */
  payload: Claims;
}

export type VerificationResult = Acceptance | Refusal;

/** Makes the four checks in order. Before the signature check, only a valid `kid` reaches a query. */
export async function verifyToken(token: string, ports: VerificationPorts): Promise<VerificationResult> {
  const jws = await checkJws(token, ports);
  if ('active' in jws) return jws;
  const checked = checkClaims(jws.payload, ports.policy, ports.now());
  if ('active' in checked) return checked;
  const { claims } = checked;
  const { sub, jti, iat, exp } = claims;
  const tokenStatus = await ports.findStatus({ sub, jti, kid: jws.kid, iat, exp });
  return checkStatus(tokenStatus, claims, jws.kid) ?? { active: true, header: jws.header, payload: claims };
}

export interface SignedToken<Key extends VerificationKey = VerificationKey> {
  kid: string;
  key: Key;
  header: Record<string, unknown>;
  /** Not checked yet. */
  payload: Record<string, unknown>;
}

/** Makes the first check. With `anyState`, keys that are not trusted verify too. */
export async function checkJws<Key extends VerificationKey>(
  token: string,
  ports: { findKey(kid: string): Promise<Key | null | undefined> | Key | null | undefined },
  { anyState = false } = {},
): Promise<SignedToken<Key> | Refusal> {
  const jws = parseCompactJws(token);
  if (typeof jws === 'string')
    return refuse('ERR_TOKEN_MALFORMED', `This is not a JWS in Compact Serialization: ${jws}.`);
  const { header } = jws;
  // RFC 7515 §4.1.11: refuse unknown extensions.
  if (header.crit !== undefined)
    return refuse('ERR_TOKEN_MALFORMED', 'The JOSE Header has a crit, which is not supported.');
  if (!isSigningAlgorithm(header.alg)) {
    return refuse(
      'ERR_ALG_NOT_ALLOWED',
      `The alg of the JOSE Header is ${describeClaim(header.alg)}; expected one of ${SIGNING_ALGORITHMS.join(', ')}.`,
    );
  }
  const { kid } = header;
  if (!isForeignKid(kid)) {
    const expected = 'a string of 1 to 255 bytes without control characters';
    return refuse(
      'ERR_KEY_UNKNOWN',
      `The kid of the JOSE Header is ${describeClaim(kid)}; expected ${expected}.`,
    );
  }

  const key = await ports.findKey(kid);
  // The sender chose the kid, so it is shown only if it has the form of ours.
  const isKey = typeof key === 'object' && key !== null;
  if (!isKey || key.kid !== kid)
    return refuse('ERR_KEY_UNKNOWN', `No key has the kid ${isKid(kid) ? kid : 'of the token'}.`);
  const name = `Key ${excerpt(kid)}`;
  if (!anyState && !isTrusted(key.state))
    return refuse(
      'ERR_KEY_NOT_TRUSTED',
      `${name} is ${isKeyState(key.state) ? key.state : 'in an unknown state'}.`,
    );
  const publicKey = publicKeyOf(key);
  if (typeof publicKey === 'string')
    return refuse('ERR_KEY_NOT_TRUSTED', `${name} cannot be used: ${publicKey}.`);
  // The algorithm is the key's, never the token's choice (RFC 8725 §3.1).
  if (header.alg !== key.alg)
    return refuse('ERR_ALG_NOT_ALLOWED', `${name} signs with ${key.alg}, not with ${header.alg}.`);
  if (!(await checkSignature(key.alg, publicKey, jws.signingInput, jws.signature))) {
    return refuse('ERR_SIGNATURE_INVALID', `The signature was not made with key ${excerpt(kid)}.`);
  }

  const payload = parseJsonObject(jws.payload);
  if (payload === null) return refuse('ERR_TOKEN_MALFORMED', 'The payload is not a JSON object.');
  return { kid, key, header, payload };
}

/** Makes the last two checks. Accepts only exact values, because the status may come from external code. */
export function checkStatus(tokenStatus: TokenStatus, claims: Claims, kid: string): Refusal | null {
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
