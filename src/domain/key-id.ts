import { createHash, createPublicKey } from 'node:crypto';

/** Six characters in base 36. A whole thumbprint would cost each registry entry 43. */
const BITS = 30;

/**
 * The id of a key: the first 30 bits of its RFC 7638 SHA-256 thumbprint. Registry entries name their key by it. A key that
 * the database has lost and that is imported again has the same id, and no other key gets it meanwhile.
 *
 * @param publicKey SPKI PEM of an RSA key
 */
export function keyId(publicKey: string): number {
  const { e, kty, n } = createPublicKey(publicKey).export({ format: 'jwk' });
  const thumbprint = createHash('sha256').update(JSON.stringify({ e, kty, n })).digest();
  return thumbprint.readUInt32BE(0) >>> (32 - BITS);
}
