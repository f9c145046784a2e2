import { generateKeyPair } from 'node:crypto';
import { promisify } from 'node:util';
import { calculateJwkThumbprint, type JWK } from 'jose';
import type { KeyPairGenerator } from '../../domain/ports/index.js';

export const rsaKeyPairGenerator: KeyPairGenerator = {
  async generate(bits) {
    const { publicKey, privateKey } = await promisify(generateKeyPair)('rsa', {
      modulusLength: bits,
      publicExponent: 0x10001,
    });
    return {
      publicKey: publicKey.export({ type: 'spki', format: 'pem' }).toString(),
      pkcs8: privateKey.export({ type: 'pkcs8', format: 'der' }),
      thumbprint: await calculateJwkThumbprint(publicKey.export({ format: 'jwk' }) as JWK, 'sha256'),
    };
  },
};
