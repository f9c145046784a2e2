import { hkdfSync } from 'node:crypto';
import type { MasterKey } from './keyring.js';

const KEY_BYTES = 32;

/**
 * Derives a 256-bit key from a master key (HKDF-SHA256, RFC 5869, without a salt because a master key is
 * random).
 *
 * @param purpose such as `audit log`. A MAC made for one purpose is invalid for every other.
 */
export function deriveKey({ secret }: MasterKey, purpose: string): Uint8Array {
  return new Uint8Array(hkdfSync('sha256', secret, '', `jwtctl ${purpose}`, KEY_BYTES));
}
