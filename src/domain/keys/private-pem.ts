import { createPrivateKey, type KeyObject } from 'node:crypto';
import { printable } from '../shared/text.js';
import { checkPrivateKey, type KeyInFile, keyRefused, notRsa, type RsaMembers } from './private-key.js';

const BEGIN = /-----BEGIN ([A-Z0-9 ]{1,60})-----/g;
const BLOCK = /-----BEGIN ([A-Z0-9 ]{0,60}PRIVATE KEY)-----[\s\S]*?-----END \1-----/;

/**
 * Reads the one private key of a PEM file: PKCS#8 or PKCS#1, encrypted or not.
 *
 * @param file its name, for messages
 * @param askPassphrase called only where the key is encrypted
 * @throws JwtctlError (usage) `ERR_PEM_INVALID`, `ERR_PEM_MANY_KEYS`, `ERR_PEM_UNSUPPORTED`, `ERR_KEY_NOT_PRIVATE`,
 * `ERR_KEY_NOT_RSA`, `ERR_PASSPHRASE_WRONG`, and what {@link checkPrivateKey} throws. No error has what OpenSSL says as
 * its cause: that may be of what it has decrypted.
 */
export async function readPrivatePem(
  text: string,
  file: string,
  askPassphrase: () => Promise<string>,
): Promise<KeyInFile> {
  const what = `The key in ${printable(file)}`;
  const { label, pem } = onlyPrivateBlock(text, printable(file));
  assertReadableLabel(label, what);
  const isEncrypted = label === 'ENCRYPTED PRIVATE KEY' || pem.includes('Proc-Type: 4,ENCRYPTED');
  const key = isEncrypted ? decryptPem(pem, await askPassphrase(), what) : openPem(pem, what);
  if (key.asymmetricKeyType !== 'rsa') {
    throw notRsa(what, String(key.asymmetricKeyType));
  }
  const members = key.export({ format: 'jwk' }) as RsaMembers;
  return { ...(await checkPrivateKey(members, what)), what, kid: null, alg: null };
}

function onlyPrivateBlock(text: string, file: string): { label: string; pem: string } {
  const labels = [...text.matchAll(BEGIN)].map(([, label]) => String(label));
  const isPrivate = (label: string) => label.endsWith('PRIVATE KEY');
  const count = labels.filter(isPrivate).length;
  if (count > 1) {
    throw keyRefused(
      'ERR_PEM_MANY_KEYS',
      `There are ${count} private keys in ${file}; a PEM file is imported with one.`,
      'Import them one by one.',
    );
  }
  if (count === 0 && labels[0] !== undefined) {
    throw keyRefused(
      'ERR_KEY_NOT_PRIVATE',
      `There is no private key in ${file}, only ${labels[0]}.`,
      'A signing key is imported with its private key.',
    );
  }
  if (count === 0) {
    throw keyRefused('ERR_PEM_INVALID', `There is no PEM block with a private key in ${file}.`);
  }
  const [pem, label] = BLOCK.exec(text) ?? [];
  if (pem === undefined || label === undefined) {
    throw keyRefused(
      'ERR_PEM_INVALID',
      `The private key in ${file} is cut off: the line that ends it is not there.`,
    );
  }
  return { label, pem };
}

function assertReadableLabel(label: string, what: string): void {
  switch (label) {
    case 'PRIVATE KEY':
    case 'RSA PRIVATE KEY':
    case 'ENCRYPTED PRIVATE KEY':
      return;
    case 'OPENSSH PRIVATE KEY':
      throw keyRefused(
        'ERR_PEM_UNSUPPORTED',
        `${what} is in the format of OpenSSH.`,
        '`ssh-keygen -p -m PKCS8 -f COPY` turns a copy of it into PKCS#8.',
      );
    default:
      throw notRsa(what, label.replace(/ ?PRIVATE KEY$/, ''));
  }
}

function openPem(pem: string, what: string): KeyObject {
  try {
    return createPrivateKey({ key: pem, format: 'pem' });
  } catch {
    throw keyRefused(
      'ERR_PEM_INVALID',
      `${what} cannot be read: it is damaged, or of a kind that is unknown.`,
    );
  }
}

function decryptPem(pem: string, passphrase: string, what: string): KeyObject {
  try {
    return createPrivateKey({ key: pem, format: 'pem', passphrase });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ERR_OSSL_EVP_UNSUPPORTED') {
      throw keyRefused(
        'ERR_PEM_UNSUPPORTED',
        `${what} is encrypted with a cipher that is too old.`,
        '`openssl pkcs8 -topk8 -v2 aes-256-cbc -in FILE -provider legacy -provider default` encrypts it anew.',
      );
    }
    // A wrong passphrase shows as padding that is wrong or, now and then, as a key that is none.
    throw keyRefused(
      'ERR_PASSPHRASE_WRONG',
      `${what} does not open with this passphrase.`,
      'Where the passphrase is right, the file is damaged.',
    );
  }
}
