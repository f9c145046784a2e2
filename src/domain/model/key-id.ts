import { createHash, createPublicKey } from 'node:crypto';

/** Six characters in base 36. A full thumbprint would add 43 characters to each registry entry. */
const BITS = 30;

/**
 * Returns the id of a key for registry entries: the first 30 bits of its RFC 7638 SHA-256 thumbprint. A key
 * that is lost and imported again gets the same id.
 *
 * @param publicKey SPKI PEM of an RSA key
 */
export function keyId(publicKey: string): number {
  const { e, kty, n } = createPublicKey(publicKey).export({ format: 'jwk' });
  const thumbprint = createHash('sha256').update(JSON.stringify({ e, kty, n })).digest();
  return thumbprint.readUInt32BE(0) >>> (32 - BITS);
}
