import { createPrivateKey, createPublicKey, type KeyObject } from 'node:crypto';
import { toPublicKey } from '../jose/jwk-set.js';
import type { SigningKey } from '../model/signing-key.js';
import { JwtctlError } from '../shared/errors.js';

/** A row whose public key was exchanged would have verifiers trust another key than the one that signs. */
export function toPrivateKey(key: SigningKey, pkcs8: Uint8Array): KeyObject {
  const privateKey = createPrivateKey({ key: Buffer.from(pkcs8), format: 'der', type: 'pkcs8' });
  if (!createPublicKey(privateKey).equals(toPublicKey(key))) {
    throw new JwtctlError('ERR_KEY_PAIR_MISMATCH', `The halves of key ${key.kid} do not belong together.`, {
      hint: 'The row was changed by other means than jwtctl. Rotate to a new key, and look into the audit log.',
    });
  }
  return privateKey;
}
