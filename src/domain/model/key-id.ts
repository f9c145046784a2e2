import { createHash, createPublicKey } from 'node:crypto';

/** Six characters in base 36. A full thumbprint would add 43 characters to each registry entry. */
const BITS = 30;

/**
 * Returns the id of a key: the first 30 bits of its RFC 7638 SHA-256 thumbprint. Registry entries name their key by this id.
 * If the database loses a key and the key is imported again, it has the same id, and no other key gets that id meanwhile.
 *
 * @param publicKey SPKI PEM of an RSA key
 */
export function keyId(publicKey: string): number {
  const { e, kty, n } = createPublicKey(publicKey).export({ format: 'jwk' });
  const thumbprint = createHash('sha256').update(JSON.stringify({ e, kty, n })).digest();
  return thumbprint.readUInt32BE(0) >>> (32 - BITS);
}
