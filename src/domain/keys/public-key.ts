import { createPublicKey, type KeyObject } from 'node:crypto';
import { printable } from '../shared/text.js';
import { checkPublicKey, type KeyInFile, keyRefused, notRsa } from './private-key.js';

const BLOCK = /-----BEGIN (PUBLIC KEY|RSA PUBLIC KEY|CERTIFICATE)-----[\s\S]*?-----END \1-----/g;

/**
 * Reads the public key of a PEM file: SPKI, PKCS#1, or the first of its X.509 certificates.
 * @throws JwtctlError (usage) `ERR_PEM_INVALID`, `ERR_KEY_NOT_RSA`; errors of {@link checkPublicKey}
 */
export async function readPublicPem(text: string, file: string): Promise<KeyInFile> {
  const what = `The key in ${printable(file)}`;
  const [block] = text.match(BLOCK) ?? [];
  if (block === undefined) {
    throw keyRefused('ERR_PEM_INVALID', `${printable(file)} contains no PEM block with a public key.`);
  }
  const key = openPublic(block, what);
  if (key.asymmetricKeyType !== 'rsa') throw notRsa(what, String(key.asymmetricKeyType));
  return { ...(await checkPublicKey(key, what)), what, pkcs8: null, kid: null, alg: null };
}

function openPublic(pem: string, what: string): KeyObject {
  try {
    return createPublicKey(pem);
  } catch {
    throw keyRefused('ERR_PEM_INVALID', `${what} cannot be read: it is damaged or of an unknown type.`);
  }
}
