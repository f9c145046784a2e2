import type { SigningKey } from '../../src/domain/model/signing-key.js';

let lastId = 0;

/** A row of the key store for rules that look at states and times only: its public key is none. */
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
