import { hkdfSync } from 'node:crypto';
import type { MasterKey } from './keyring.js';

const KEY_BYTES = 32;

/** Derives a key by HKDF-SHA256 (RFC 5869). A MAC made for one purpose is invalid for every other. */
export function deriveKey({ secret }: MasterKey, purpose: string): Uint8Array {
  return new Uint8Array(hkdfSync('sha256', secret, '', `jwtctl ${purpose}`, KEY_BYTES));
}
