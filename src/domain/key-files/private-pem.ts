import { createPrivateKey, type KeyObject } from 'node:crypto';
import { isEncryptedPkcs8, readPrivateDer, readPublicDer } from './key-file.js';
import { derOf, type PemBlock, pemLabels, readPemBlocks, toPem } from './pem.js';
import { checkPrivateKey, type KeyInFile, keyRefused, notRsa, type RsaMembers } from './rsa-key.js';

/**
 * Reads the private key of a PEM file: PKCS#8 or PKCS#1, encrypted or not, whatever the label says. Errors have no cause,
 * because a message of OpenSSL may contain decrypted bytes.
 * @throws JwtctlError (usage) `ERR_PEM_INVALID`, `ERR_PEM_MANY_KEYS`, `ERR_PEM_UNSUPPORTED`, `ERR_KEY_NOT_PRIVATE`,
 * `ERR_KEY_NOT_RSA`, `ERR_PASSPHRASE_WRONG`; errors of {@link checkPrivateKey}
 */
export async function readPrivatePem(
  text: string,
  file: string,
  askPassphrase: () => Promise<string>,
): Promise<KeyInFile> {
  const what = `The key in ${file}`;
  const block = onlyPrivateBlock(text, file);
  assertAsn1(block.label, what);
  const der = derOf(block, `The private key in ${file}`);
  const isEncrypted = block.headers !== '' || isEncryptedPkcs8(der);
  const key = isEncrypted
    ? decryptPem(block, der, await askPassphrase(), what)
    : openDer(der, block.label, what);
  if (key.asymmetricKeyType !== 'rsa') throw notRsa(what, String(key.asymmetricKeyType));
  const members = key.export({ format: 'jwk' }) as RsaMembers;
  return { ...(await checkPrivateKey(members, what)), what, kid: null, alg: null };
}

function onlyPrivateBlock(text: string, file: string): PemBlock {
  const labels = pemLabels(text);
  const count = labels.filter(isPrivate).length;
  if (count > 1) {
    throw keyRefused('ERR_PEM_MANY_KEYS', `${file} contains ${count} private keys; expected one.`);
  }
  if (count === 0) {
    throw keyRefused('ERR_KEY_NOT_PRIVATE', `${file} contains no private key, only ${labels[0]}.`);
  }
  const block = readPemBlocks(text).find(({ label }) => isPrivate(label));
  if (block !== undefined) return block;
  throw keyRefused('ERR_PEM_INVALID', `The private key in ${file} is cut off: its END line is missing.`);
}

function isPrivate(label: string): boolean {
  return /PRIVATE KEY( BLOCK)?$/.test(label);
}

/** The body under any other label is ASN.1, whose content says what it is. */
function assertAsn1(label: string, what: string): void {
  if (label.startsWith('PGP ')) throw notRsa(what, 'PGP');
  if (label !== 'OPENSSH PRIVATE KEY') return;
  throw keyRefused(
    'ERR_PEM_UNSUPPORTED',
    `${what} is in OpenSSH format, which is not supported.`,
    'Copy the file and run `ssh-keygen -p -m PKCS8 -f COPY`, which converts the copy to PKCS#8.',
  );
}

function openDer(der: Buffer, label: string, what: string): KeyObject {
  const key = readPrivateDer(der);
  if (key !== null) return key;
  if (readPublicDer(der) !== null) {
    throw keyRefused(
      'ERR_KEY_NOT_PRIVATE',
      `${what} is a public key or a certificate with the label of a private key.`,
    );
  }
  const type = label.replace(/ ?PRIVATE KEY$/, '');
  if (!['', 'RSA', 'ENCRYPTED'].includes(type)) throw notRsa(what, type);
  throw keyRefused('ERR_PEM_INVALID', `${what} cannot be read: it is damaged or of an unknown type.`);
}

function decryptPem(block: PemBlock, der: Buffer, passphrase: string, what: string): KeyObject {
  // An encrypted PKCS#8 key opens only under its own label.
  const label = block.headers === '' ? 'ENCRYPTED PRIVATE KEY' : block.label;
  try {
    return createPrivateKey({ key: toPem({ ...block, label }, der), format: 'pem', passphrase });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ERR_OSSL_EVP_UNSUPPORTED') {
      throw keyRefused(
        'ERR_PEM_UNSUPPORTED',
        `${what} is encrypted with an outdated cipher.`,
        'Encrypt it again with `openssl pkcs8 -topk8 -v2 aes-256-cbc -in FILE -provider legacy -provider default`.',
      );
    }
    // OpenSSL reports a wrong passphrase as wrong padding or, rarely, as an invalid key.
    throw keyRefused(
      'ERR_PASSPHRASE_WRONG',
      `${what} does not open with this passphrase.`,
      'Check the passphrase. If it is right, the file is damaged.',
    );
  }
}
