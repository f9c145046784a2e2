import { createPrivateKey, createPublicKey, type JsonWebKey } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { decodeToken, parseCompactJws } from '../../src/domain/jose/jws.js';
import { checkSignature, createSignature } from '../../src/domain/jose/signature.js';
import { createVerifier } from '../../src/verifier/create-verifier.js';
import { RFC7515_A2, RFC7520 } from './rfc-vectors.js';

function keyPairOf(jwk: JsonWebKey) {
  const privateKey = createPrivateKey({ key: jwk, format: 'jwk' });
  return { privateKey, publicKey: createPublicKey(privateKey) };
}

function parse(jws: string) {
  const parsed = parseCompactJws(jws);
  return typeof parsed === 'string' ? expect.unreachable(parsed) : parsed;
}

function changed(signature: Uint8Array): Uint8Array {
  const other = Buffer.from(signature);
  other[100] = (other[100] ?? 0) ^ 1;
  return other;
}

describe('RFC 7515 A.2: RS256', () => {
  const { publicKey, privateKey } = keyPairOf(RFC7515_A2.privateJwk);

  test('decodes to its header and its Claims Set', () => {
    expect(decodeToken(RFC7515_A2.jws)).toMatchObject({
      header: { alg: 'RS256' },
      payload: { iss: 'joe', exp: 1300819380, 'http://example.com/is_root': true },
    });
  });

  test('has a valid signature, and refuses any change', async () => {
    const { signingInput, signature } = parse(RFC7515_A2.jws);
    expect(await checkSignature('RS256', publicKey, signingInput, signature)).toBe(true);
    expect(await checkSignature('RS256', publicKey, signingInput, changed(signature))).toBe(false);
    expect(await checkSignature('RS256', publicKey, `${signingInput}A`, signature)).toBe(false);
    expect(await checkSignature('RS384', publicKey, signingInput, signature)).toBe(false);
    expect(await checkSignature('PS256', publicKey, signingInput, signature)).toBe(false);
  });

  test('is reproduced by signing its input', async () => {
    const { signingInput } = parse(RFC7515_A2.jws);
    const signature = await createSignature('RS256', privateKey, signingInput);
    expect(`${signingInput}.${signature.toString('base64url')}`).toBe(RFC7515_A2.jws);
  });

  test('is refused as a token, because it has no kid', async () => {
    const verifier = createVerifier({
      findKey: () => expect.unreachable(),
      findStatus: () => expect.unreachable(),
      policy: { issuer: 'joe', audience: 'user', clockToleranceSeconds: 0 },
      now: () => 1300819379,
    });
    expect(await verifier.verify(RFC7515_A2.jws)).toMatchObject({ error: { code: 'ERR_KEY_UNKNOWN' } });
  });
});

describe('RFC 7520', () => {
  const { publicKey, privateKey } = keyPairOf(RFC7520.privateJwk);

  test.each([
    { section: '§4.1', alg: 'RS256', jws: RFC7520.rs256 },
    { section: '§4.2', alg: 'PS384', jws: RFC7520.ps384 },
  ] as const)(
    '$section has a valid $alg signature over the text, and refuses any change',
    async ({ alg, jws }) => {
      const { header, payload, signingInput, signature } = parse(jws);
      expect(header).toEqual({ alg, kid: RFC7520.kid });
      expect(Buffer.from(payload).toString()).toBe(RFC7520.text);
      expect(await checkSignature(alg, publicKey, signingInput, signature)).toBe(true);
      expect(await checkSignature(alg, publicKey, signingInput, changed(signature))).toBe(false);
      expect(await checkSignature('PS256', publicKey, signingInput, signature)).toBe(false);
    },
  );

  test('§4.1 is reproduced by signing its input', async () => {
    const { signingInput } = parse(RFC7520.rs256);
    const signature = await createSignature('RS256', privateKey, signingInput);
    expect(`${signingInput}.${signature.toString('base64url')}`).toBe(RFC7520.rs256);
  });

  test('§4.2 has a different valid signature each time', async () => {
    const { signingInput, signature } = parse(RFC7520.ps384);
    const another = await createSignature('PS384', privateKey, signingInput);
    expect(another.equals(signature)).toBe(false);
    expect(await checkSignature('PS384', publicKey, signingInput, another)).toBe(true);
  });

  test('§4.1 is not a JWT, because its payload is text', () => {
    expect(decodeToken(RFC7520.rs256)).toBeTypeOf('string');
  });
});
