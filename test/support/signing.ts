import { generateKeyPairSync, type JsonWebKey, type KeyObject } from 'node:crypto';
import { createSignature } from '../../src/domain/jose/signature.js';
import type { VerificationKey } from '../../src/domain/jose/verification-key.js';
import type { KeyState, SigningAlgorithm } from '../../src/domain/model/signing-key.js';

export interface RsaPair {
  publicKey: KeyObject;
  privateKey: KeyObject;
}

export function rsaPair(bits = 2048): RsaPair {
  return generateKeyPairSync('rsa', { modulusLength: bits });
}

export function verificationKey(
  { publicKey }: RsaPair,
  parts: { kid: string; alg?: SigningAlgorithm; state?: KeyState },
): VerificationKey {
  return { alg: 'RS256', state: 'active', jwk: publicKey.export({ format: 'jwk' }) as JsonWebKey, ...parts };
}

/** A part of a JWS: objects become JSON; bytes and text stay unchanged. */
export function encodePart(part: unknown): string {
  const data = typeof part === 'string' || part instanceof Uint8Array ? part : JSON.stringify(part);
  return Buffer.from(data as string).toString('base64url');
}

/** Signs a JWS with any header and payload. The algorithm of the signature is independent of the header. */
export async function signJws(
  { privateKey }: Pick<RsaPair, 'privateKey'>,
  header: unknown,
  payload: unknown,
  alg: SigningAlgorithm = 'RS256',
): Promise<string> {
  const signingInput = `${encodePart(header)}.${encodePart(payload)}`;
  return `${signingInput}.${(await createSignature(alg, privateKey, signingInput)).toString('base64url')}`;
}
