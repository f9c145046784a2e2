import { constants, type KeyObject, sign, verify } from 'node:crypto';
import type { SigningAlgorithm } from '../model/signing-key.js';

/** Runs off the main thread (RFC 7518 §3.3, §3.5). */
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

/** For a few inputs. For many, use a signing pool. */
export async function createSignatures(
  alg: SigningAlgorithm,
  key: KeyObject,
  inputs: readonly string[],
): Promise<string[]> {
  const signatures = await Promise.all(inputs.map((input) => createSignature(alg, key, input)));
  return signatures.map((signature) => signature.toString('base64url'));
}

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

export function schemeOf(alg: SigningAlgorithm): {
  hash: string;
  options: { padding: number; saltLength?: number };
} {
  const hash = `sha${alg.slice(2)}`;
  return alg.startsWith('PS')
    ? // RFC 7518 §3.5: the salt is as long as the hash.
      {
        hash,
        options: { padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: constants.RSA_PSS_SALTLEN_DIGEST },
      }
    : { hash, options: { padding: constants.RSA_PKCS1_PADDING } };
}
