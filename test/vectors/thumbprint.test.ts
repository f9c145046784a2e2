import { createPublicKey } from 'node:crypto';
import { calculateJwkThumbprint } from 'jose';
import { expect, test } from 'vitest';
import { rsaKeyPairGenerator } from '../../src/adapters/rsa/key-pair-generator.js';
import { isKid } from '../../src/domain/model/kid.js';
import { RFC7638_3_1 } from './rfc-vectors.js';

test('RFC 7638 §3.1: the thumbprint covers only kty, n, and e', async () => {
  const { jwk, thumbprint } = RFC7638_3_1;
  expect(await calculateJwkThumbprint(jwk)).toBe(thumbprint);
  const exported = createPublicKey({ key: jwk, format: 'jwk' }).export({ format: 'jwk' });
  expect(await calculateJwkThumbprint(exported as typeof jwk)).toBe(thumbprint);
  expect(isKid(thumbprint)).toBe(true);
});

test('the thumbprint of a generated pair is that of its public key', async () => {
  const { publicKey, thumbprint } = await rsaKeyPairGenerator.generate(2048);
  const { n, e } = createPublicKey(publicKey).export({ format: 'jwk' });
  expect(thumbprint).toBe(await calculateJwkThumbprint({ kty: 'RSA', n: String(n), e: String(e) }));
});
