import { readPublicDer } from './key-file.js';
import { derOf, pemLabels, readPemBlocks } from './pem.js';
import { checkPublicKey, type KeyInFile, keyRefused, notRsa } from './rsa-key.js';

/**
 * Reads the public key of a PEM file: SPKI, PKCS#1, or the first X.509 certificate of a chain.
 * @throws JwtctlError (usage) `ERR_PEM_INVALID`, `ERR_PEM_MANY_KEYS`, `ERR_KEY_NOT_PUBLIC`, `ERR_KEY_NOT_RSA`; errors of
 * {@link checkPublicKey}
 */
export async function readPublicPem(text: string, file: string): Promise<KeyInFile> {
  const what = `The key in ${file}`;
  const labels = pemLabels(text);
  const blocks = readPemBlocks(text);
  const own = blocks.filter(({ label }) => isPublic(label));
  const certificates = blocks.filter(({ label }) => /^(X509 |TRUSTED )?CERTIFICATE$/.test(label));
  if (labels.filter(isPublic).length > own.length) {
    throw keyRefused('ERR_PEM_INVALID', `A public key in ${file} is cut off: its END line is missing.`);
  }
  const keys = [...own, ...certificates.slice(0, 1)].map((block) => {
    const key = readPublicDer(derOf(block, what));
    if (key !== null) return key;
    throw keyRefused('ERR_PEM_INVALID', `${what} cannot be read: it is damaged or of an unknown type.`);
  });
  const [key] = keys;
  if (key === undefined) throw noPublicKey(labels[0] ?? '', file);
  if (keys.some((other) => !other.equals(key))) {
    throw keyRefused('ERR_PEM_MANY_KEYS', `${file} contains ${keys.length} public keys; expected one.`);
  }
  if (key.asymmetricKeyType !== 'rsa') throw notRsa(what, String(key.asymmetricKeyType));
  const note =
    own.length === 0 && certificates.length > 1
      ? `${file} contains ${certificates.length} certificates. The key of the first one was read.`
      : undefined;
  return { ...(await checkPublicKey(key, what)), what, pkcs8: null, kid: null, alg: null, note };
}

function isPublic(label: string): boolean {
  return label.endsWith('PUBLIC KEY');
}

function noPublicKey(label: string, file: string): Error {
  const message = `${file} contains no public key, only ${label}.`;
  return label.endsWith('PRIVATE KEY')
    ? keyRefused('ERR_KEY_NOT_PUBLIC', message)
    : keyRefused(
        'ERR_PEM_INVALID',
        message,
        'The BEGIN and END lines of a public key have the label PUBLIC KEY, RSA PUBLIC KEY, or CERTIFICATE.',
      );
}
