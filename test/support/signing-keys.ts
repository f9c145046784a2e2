import type { SigningKey } from '../../src/domain/model/signing-key.js';

let lastId = 0;

/** Creates a row of the key store for rules that use only states and times. Its public key is not valid. */
export function signingKey(parts: Partial<SigningKey> & Pick<SigningKey, 'kid' | 'state'>): SigningKey {
  lastId += 1;
  return {
    id: lastId,
    alg: 'RS256',
    bits: 2048,
    publicKey: '',
    masterKeyId: 'mk-1',
    maxTtlSeconds: null,
    createdAt: 0,
    activatedAt: null,
    retiringAt: null,
    verifyUntil: null,
    retiredAt: null,
    compromisedAt: null,
    ...parts,
  };
}
