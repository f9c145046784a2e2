import { type CompactJws, parseCompactJws, parseJsonObject } from '../jose/jws.js';
import { checkSignature } from '../jose/signature.js';
import { publicKeyOf, type VerificationKey } from '../jose/verification-key.js';
import { isKid } from '../model/kid.js';
import { type Refusal, refuse } from '../model/refusal-codes.js';
import {
  isKeyState,
  isSigningAlgorithm,
  isTrusted,
  SIGNING_ALGORITHMS,
  type SigningAlgorithm,
} from '../model/signing-key.js';
import { describeClaim } from '../shared/describe-value.js';
import { excerpt } from '../shared/text.js';
import type { AcceptedClaims, ClaimsPolicy } from './check-claims.js';
import { checkType } from './token-type.js';

export interface SignedToken<Key extends VerificationKey = VerificationKey> {
  kid: string;
  key: Key;
  header: Record<string, unknown>;
  /** Not checked yet. */
  payload: Record<string, unknown>;
}

/** A token after the first two checks. */
export interface CheckedToken<Key extends VerificationKey = VerificationKey>
  extends Omit<SignedToken<Key>, 'payload'> {
  claims: AcceptedClaims;
}

/**
 * Makes the first check.
 * @param policy null to identify a token: then keys that are not trusted verify too, and any `typ` passes
 */
export async function checkJws<Key extends VerificationKey>(
  token: string,
  ports: { findKey(kid: string): Promise<Key | null | undefined> | Key | null | undefined },
  policy: Pick<ClaimsPolicy, 'acceptTypes'> | null,
): Promise<SignedToken<Key> | Refusal> {
  const jws = parseJws(token);
  if ('active' in jws) return jws;
  const { header } = jws;
  const { kid } = header;
  if (!isKid(kid)) {
    const expected = 'a string of 1 to 255 bytes without control characters';
    return refuse(
      'ERR_KEY_UNKNOWN',
      `The kid of the JOSE Header is ${describeClaim(kid)}; expected ${expected}.`,
    );
  }

  const key = await ports.findKey(kid);
  const isKey = typeof key === 'object' && key !== null;
  if (!isKey || key.kid !== kid) return refuse('ERR_KEY_UNKNOWN', `No key has the kid ${excerpt(kid)}.`);
  const refusal =
    (await checkKey(jws, key, { anyState: policy === null })) ??
    (policy === null ? null : checkType(header, policy.acceptTypes));
  if (refusal !== null) return refusal;
  const payload = parseJsonObject(jws.payload);
  if (payload === null) return refuse('ERR_TOKEN_MALFORMED', 'The payload is not a JSON object.');
  return { kid, key, header, payload };
}

/** Parses a JWS with an allowed `alg` and without extensions. Verifies nothing. */
export function parseJws(token: string): (CompactJws & { alg: SigningAlgorithm }) | Refusal {
  const jws = parseCompactJws(token);
  if (typeof jws === 'string')
    return refuse('ERR_TOKEN_MALFORMED', `This is not a JWS in Compact Serialization: ${jws}.`);
  const { alg, b64, crit } = jws.header;
  // RFC 7515 §4.1.11: refuse unknown extensions.
  if (crit !== undefined)
    return refuse('ERR_TOKEN_MALFORMED', 'The JOSE Header has a crit, which is not supported.');
  // RFC 7797 §7: a JWT never has an unencoded payload.
  if (b64 !== undefined && b64 !== true)
    return refuse('ERR_TOKEN_MALFORMED', 'The JOSE Header has a b64 other than true.');
  if (!isSigningAlgorithm(alg)) {
    return refuse(
      'ERR_ALG_NOT_ALLOWED',
      `The token's alg is ${isAlgorithmName(alg) ? alg : describeClaim(alg)}; jwtctl verifies only ${SIGNING_ALGORITHMS.join(', ')}.`,
    );
  }
  return { ...jws, alg };
}

/** Checks that the key is trusted, and that it made the signature. */
export async function checkKey(
  { alg, signingInput, signature }: CompactJws & { alg: SigningAlgorithm },
  key: VerificationKey,
  { anyState = false } = {},
): Promise<Refusal | null> {
  const name = `Key ${excerpt(key.kid)}`;
  if (!anyState && !isTrusted(key.state))
    return refuse(
      'ERR_KEY_NOT_TRUSTED',
      `${name} is ${isKeyState(key.state) ? key.state : 'in an unknown state'}.`,
    );
  const publicKey = publicKeyOf(key);
  if (typeof publicKey === 'string')
    return refuse('ERR_KEY_NOT_TRUSTED', `${name} cannot be used: ${publicKey}.`);
  // The algorithm is the key's, never the token's choice (RFC 8725 §3.1).
  if (alg !== key.alg)
    return refuse('ERR_ALG_NOT_ALLOWED', `${name} signs with ${key.alg}, not with ${alg}.`);
  if (await checkSignature(key.alg, publicKey, signingInput, signature)) return null;
  const bytes = (publicKey.asymmetricKeyDetails?.modulusLength ?? 0) / 8;
  return refuse(
    'ERR_SIGNATURE_INVALID',
    signature.length < bytes
      ? `The signature is cut off: it has ${signature.length} bytes, but one of key ${excerpt(key.kid)} has ${bytes}.`
      : `The signature was not made with key ${excerpt(key.kid)}.`,
  );
}

/** A name like those of RFC 7518 §3.1, which is safe to print. */
function isAlgorithmName(alg: unknown): alg is string {
  return typeof alg === 'string' && /^[A-Za-z0-9]{1,16}$/.test(alg);
}
