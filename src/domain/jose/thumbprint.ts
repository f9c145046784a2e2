import { createHash, createPublicKey } from 'node:crypto';

/** Six characters in base 36. A full thumbprint would add 43 characters to each registry entry. */
const BITS = 30;

/** Returns the first 30 bits of the RFC 7638 SHA-256 thumbprint, so that an imported key keeps its id. */
export function keyId(publicKey: string): number {
  const { e, kty, n } = createPublicKey(publicKey).export({ format: 'jwk' });
  const thumbprint = createHash('sha256').update(JSON.stringify({ e, kty, n })).digest();
  return thumbprint.readUInt32BE(0) >>> (32 - BITS);
}
