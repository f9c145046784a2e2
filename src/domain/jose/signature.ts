import { constants, type KeyObject, sign, verify } from 'node:crypto';
import type { SigningAlgorithm } from '../model/signing-key.js';

/** The JWS Signature over `signingInput` (RFC 7518 §3.3 and §3.5). Computed off the main thread. */
export function createSignature(
  alg: SigningAlgorithm,
  key: KeyObject,
  signingInput: string,
): Promise<Buffer> {
  const { hash, options } = schemeOf(alg);
  return new Promise((resolve, reject) => {
    sign(hash, Buffer.from(signingInput, 'ascii'), { key, ...options }, (error, signature) =>
      error ? reject(error) : resolve(signature),
    );
  });
}

/** Returns the JWS Signature over each input, in base64url. For a few inputs; a signing pool is for many. */
export async function createSignatures(
  alg: SigningAlgorithm,
  key: KeyObject,
  inputs: readonly string[],
): Promise<string[]> {
  const signatures = await Promise.all(inputs.map((input) => createSignature(alg, key, input)));
  return signatures.map((signature) => signature.toString('base64url'));
}

/** Whether `signature` is one over `signingInput` by the private key of `key`. Computed off the main thread. */
export function checkSignature(
  alg: SigningAlgorithm,
  key: KeyObject,
  signingInput: string,
  signature: Uint8Array,
): Promise<boolean> {
  const { hash, options } = schemeOf(alg);
  return new Promise((resolve, reject) => {
    verify(hash, Buffer.from(signingInput, 'ascii'), { key, ...options }, signature, (error, isValid) =>
      error ? reject(error) : resolve(isValid),
    );
  });
}

/** What node:crypto calls it. */
export function schemeOf(alg: SigningAlgorithm): {
  hash: string;
  options: { padding: number; saltLength?: number };
} {
  const hash = `sha${alg.slice(2)}`;
  return alg.startsWith('PS')
    ? // The salt is as long as the hash (RFC 7518 §3.5).
      {
        hash,
        options: { padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: constants.RSA_PSS_SALTLEN_DIGEST },
      }
    : { hash, options: { padding: constants.RSA_PKCS1_PADDING } };
}
