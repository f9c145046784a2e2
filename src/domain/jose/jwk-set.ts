import { createPublicKey, type KeyObject } from 'node:crypto';
import { invalidKeyRow, isTrusted, type SigningKey } from '../model/signing-key.js';

/** A public key (RFC 7517 §4, RFC 7518 §6.3.1). */
export interface PublicJwk {
  kty: 'RSA';
  kid: string;
  use: 'sig';
  alg: string;
  n: string;
  e: string;
}

/** Returns every key that a token can be valid under, including the next signing key. */
export function jwkSet(keys: readonly SigningKey[]): { keys: PublicJwk[] } {
  return { keys: keys.filter((key) => isTrusted(key.state)).map(publicJwk) };
}

/** Copies each member by name, so that nothing else of a key is published. */
export function publicJwk(key: Pick<SigningKey, 'kid' | 'alg' | 'publicKey'>): PublicJwk {
  const { n, e } = toPublicKey(key).export({ format: 'jwk' });
  return { kty: 'RSA', kid: key.kid, use: 'sig', alg: key.alg, n: n ?? '', e: e ?? '' };
}

/** @throws JwtctlError `ERR_KEY_ROW_INVALID` (state) if the row does not hold the PEM of an RSA public key */
export function toPublicKey(key: Pick<SigningKey, 'kid' | 'publicKey'>): KeyObject {
  let publicKey: KeyObject | null = null;
  try {
    publicKey = createPublicKey(key.publicKey);
  } catch {
    // The reason may quote the column.
  }
  if (publicKey?.asymmetricKeyType !== 'rsa') throw invalidKeyRow(key.kid, 'public_key');
  return publicKey;
}
