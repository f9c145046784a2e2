import { createPrivateKey, createPublicKey } from 'node:crypto';
import { describe, expect, test, vi } from 'vitest';
import { rsaKeyPairGenerator } from '../../../src/adapters/rsa/key-pair-generator.js';
import { checkSignature, createSignature } from '../../../src/domain/jose/signature.js';
import { SIGNING_ALGORITHMS } from '../../../src/domain/model/signing-key.js';

vi.unmock('../../../src/adapters/rsa/key-pair-generator.js');

async function generate(bits = 2048) {
  const pair = await rsaKeyPairGenerator.generate(bits);
  const privateKey = createPrivateKey({ key: Buffer.from(pair.pkcs8), format: 'der', type: 'pkcs8' });
  return { ...pair, privateKey, public: createPublicKey(pair.publicKey) };
}

describe('an RSA pair', () => {
  test.each([2048, 3072])('has the requested number of bits (%i) and the exponent 65537', async (bits) => {
    const pair = await generate(bits);
    const details = { modulusLength: bits, publicExponent: 65537n };
    expect(pair.privateKey.asymmetricKeyDetails).toMatchObject(details);
    expect(pair.public.asymmetricKeyDetails).toMatchObject(details);
    expect(pair.public.asymmetricKeyType).toBe('rsa');
  });

  test('has a public key in SPKI PEM, without private parts', async () => {
    const { publicKey, pkcs8 } = await generate();
    expect(publicKey).toMatch(/^-----BEGIN PUBLIC KEY-----\n[A-Za-z0-9+/=\n]+-----END PUBLIC KEY-----\n$/);
    expect(Buffer.from(publicKey.split('\n').slice(1, -2).join(''), 'base64').length).toBeLessThan(300);
    expect(pkcs8.length).toBeGreaterThan(1000);
  });

  test('has a matching public and private key', async () => {
    const { privateKey, public: publicKey } = await generate();
    expect(createPublicKey(privateKey).equals(publicKey)).toBe(true);
  });

  test('is different each time', async () => {
    const [first, second] = await Promise.all([generate(), generate()]);
    expect(first.thumbprint).not.toBe(second.thumbprint);
    expect(first.public.equals(second.public)).toBe(false);
  });

  test('signs with every algorithm, and verifies only with the same one', async () => {
    const { privateKey, public: publicKey } = await generate();
    for (const alg of SIGNING_ALGORITHMS) {
      const signature = await createSignature(alg, privateKey, 'header.payload');
      for (const other of SIGNING_ALGORITHMS) {
        expect(await checkSignature(other, publicKey, 'header.payload', signature), `${alg} ${other}`).toBe(
          other === alg,
        );
      }
    }
  });
});
