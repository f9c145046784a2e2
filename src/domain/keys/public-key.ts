import { printable } from '../shared/text.js';
import { type KeyFileContent, readPublicDer } from './key-file.js';
import { readPemBlocks } from './pem.js';
import { checkPublicKey, type KeyInFile, keyRefused, notRsa } from './private-key.js';
import { derOf, pemText } from './private-pem.js';

/**
 * Reads the public key of a PEM file: SPKI, PKCS#1, or the first of its X.509 certificates.
 * @throws JwtctlError (usage) `ERR_PEM_INVALID`, `ERR_KEY_NOT_RSA`; errors of {@link checkPublicKey}
 */
export async function readPublicPem(content: KeyFileContent, file: string): Promise<KeyInFile> {
  const what = `The key in ${printable(file)}`;
  const blocks = readPemBlocks(pemText(content, file));
  const block = blocks.find(({ label }) => /PUBLIC KEY$|^(X509 |TRUSTED )?CERTIFICATE$/.test(label));
  if (block === undefined) {
    const found = blocks[0]?.label ?? 'a block without an END line';
    const hint = /PRIVATE KEY$/.test(found)
      ? 'To store only the public key of a private key, use `jwtctl keys import --verify-only`.'
      : undefined;
    throw keyRefused('ERR_PEM_INVALID', `${printable(file)} contains no public key, only ${found}.`, hint);
  }
  const key = readPublicDer(derOf(block, what));
  if (key === null) {
    throw keyRefused('ERR_PEM_INVALID', `${what} cannot be read: it is damaged or of an unknown type.`);
  }
  if (key.asymmetricKeyType !== 'rsa') throw notRsa(what, String(key.asymmetricKeyType));
  return { ...(await checkPublicKey(key, what)), what, pkcs8: null, kid: null, alg: null };
}
