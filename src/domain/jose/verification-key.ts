import { createPublicKey, type KeyObject } from 'node:crypto';
import {
  isSigningAlgorithm,
  type KeyState,
  type SigningAlgorithm,
  type SigningKey,
} from '../model/signing-key.js';
import { publicJwk } from './jwk-set.js';
import { hasRocaFingerprint } from './roca.js';

export interface VerificationKey {
  kid: string;
  alg: SigningAlgorithm;
  state: KeyState;
  /** The public key (RFC 7517, RFC 7518 §6.3.1). */
  jwk: RsaPublicJwk;
}

export interface RsaPublicJwk {
  kty?: string;
  n?: string;
  e?: string;
  [member: string]: unknown;
}

export function toVerificationKey(key: SigningKey): VerificationKey {
  return { kid: key.kid, alg: key.alg, state: key.state, jwk: { ...publicJwk(key) } };
}

/** Returns the key, or why it must not verify. Caches only `n` and `e`: a caller may change the rest. */
export function publicKeyOf(key: VerificationKey): KeyObject | string {
  if (!isSigningAlgorithm(key.alg)) return 'its alg is not one of RS256 to PS512';
  const { jwk } = key;
  if (typeof jwk !== 'object' || jwk === null) return 'it has no JWK';
  if (jwk.kty !== 'RSA') return 'the kty of its JWK is not RSA';
  if (jwk.kid !== undefined && jwk.kid !== key.kid) return 'its JWK has a different kid';
  if (jwk.use !== undefined && jwk.use !== 'sig') return 'the use of its JWK is not sig';
  if (jwk.alg !== undefined && jwk.alg !== key.alg) return 'its JWK has a different alg';
  if (jwk.key_ops !== undefined && !(Array.isArray(jwk.key_ops) && jwk.key_ops.includes('verify')))
    return 'the key_ops of its JWK do not include verify';
  return materialOf(jwk.n, jwk.e);
}

const materials = new Map<unknown, { e: string; result: KeyObject | string }>();
const MOST_MATERIALS = 1_000;

function materialOf(n: unknown, e: unknown): KeyObject | string {
  const known = materials.get(n);
  if (known !== undefined && known.e === e) return known.result;
  if (!isBase64url(n) || !isBase64url(e)) return 'the n and e of its JWK are not base64url';
  const result = rsaKeyFault(toNumber(n), toNumber(e)) ?? toPublicKey(n, e);
  if (materials.size >= MOST_MATERIALS) materials.clear();
  materials.set(n, { e, result });
  return result;
}

function toPublicKey(n: string, e: string): KeyObject | string {
  try {
    return createPublicKey({ key: { kty: 'RSA', n, e }, format: 'jwk' });
  } catch {
    return 'its n and e do not form an RSA key';
  }
}

const MIN_BITS = 2048;
// OpenSSL refuses to verify with a larger modulus.
const MAX_BITS = 16_384;
const MIN_EXPONENT = 65_537n;
const MAX_EXPONENT = 2n ** 64n;

export function rsaKeyFault(n: bigint, e: bigint): string | null {
  const bits = n.toString(2).length;
  if (bits < MIN_BITS || bits > MAX_BITS) {
    return `its modulus has ${bits} bits; expected ${MIN_BITS} to ${MAX_BITS} (RFC 7518 §3.3)`;
  }
  if (n % 2n !== 1n) return 'its modulus is even';
  if (e < MIN_EXPONENT || e >= MAX_EXPONENT || e % 2n !== 1n)
    return `its public exponent is not an odd number from ${MIN_EXPONENT} to 2^64`;
  return hasRocaFingerprint(n) ? 'its modulus has the ROCA fingerprint (CVE-2017-15361)' : null;
}

/** Rejects values above 16,384 bits, and padding (RFC 7518 §2). */
function isBase64url(value: unknown): value is string {
  return typeof value === 'string' && value.length <= 2_800 && /^[A-Za-z0-9_-]+$/.test(value);
}

function toNumber(text: string): bigint {
  return BigInt(`0x0${Buffer.from(text, 'base64url').toString('hex')}`);
}
