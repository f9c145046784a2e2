import { createPrivateKey, createPublicKey, type KeyObject } from 'node:crypto';
import { toPublicKey } from '../jose/jwk-set.js';
import type { SigningKey } from '../model/signing-key.js';
import { JwtctlError } from '../shared/errors.js';

/** Checks the pair, because a changed public key in the row would make verifiers refuse every token. */
export function toPrivateKey(key: SigningKey, pkcs8: Uint8Array): KeyObject {
  const privateKey = createPrivateKey({ key: Buffer.from(pkcs8), format: 'der', type: 'pkcs8' });
  if (!createPublicKey(privateKey).equals(toPublicKey(key))) {
    throw new JwtctlError('ERR_KEY_PAIR_MISMATCH', `The private and public key of ${key.kid} do not match.`);
  }
  return privateKey;
}
