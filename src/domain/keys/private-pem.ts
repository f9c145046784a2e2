import { createPrivateKey, type KeyObject } from 'node:crypto';
import { printable } from '../shared/text.js';
import {
  checkPrivateKey,
  keyRefused,
  notRsa,
  type PrivateKeyInFile,
  type RsaMembers,
} from './private-key.js';

const BEGIN = /-----BEGIN ([A-Z0-9 ]{1,60})-----/g;
const BLOCK = /-----BEGIN ([A-Z0-9 ]{0,60}PRIVATE KEY)-----[\s\S]*?-----END \1-----/;

/**
 * Reads a PKCS#8 or PKCS#1 key. Errors have no cause: a message of OpenSSL may contain decrypted bytes.
 * @throws JwtctlError (usage) `ERR_PEM_INVALID`, `ERR_PEM_MANY_KEYS`, `ERR_PEM_UNSUPPORTED`,
 * `ERR_KEY_NOT_PRIVATE`, `ERR_KEY_NOT_RSA`, `ERR_PASSPHRASE_WRONG`; errors of {@link checkPrivateKey}
 */
export async function readPrivatePem(
  text: string,
  file: string,
  askPassphrase: () => Promise<string>,
): Promise<PrivateKeyInFile> {
  const what = `The key in ${printable(file)}`;
  const { label, pem } = onlyPrivateBlock(text, printable(file));
  assertReadableLabel(label, what);
  const isEncrypted = label === 'ENCRYPTED PRIVATE KEY' || pem.includes('Proc-Type: 4,ENCRYPTED');
  const key = isEncrypted ? decryptPem(pem, await askPassphrase(), what) : openPem(pem, what);
  if (key.asymmetricKeyType !== 'rsa') throw notRsa(what, String(key.asymmetricKeyType));
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
      `${file} contains ${count} private keys; expected one.`,
      'Import each key from its own file.',
    );
  }
  if (count === 0 && labels[0] !== undefined) {
    throw keyRefused(
      'ERR_KEY_NOT_PRIVATE',
      `${file} contains no private key, only ${labels[0]}.`,
      'Import the private key.',
    );
  }
  if (count === 0) throw keyRefused('ERR_PEM_INVALID', `${file} contains no PEM block with a private key.`);
  const [pem, label] = BLOCK.exec(text) ?? [];
  if (pem === undefined || label === undefined) {
    throw keyRefused('ERR_PEM_INVALID', `The private key in ${file} is cut off: its END line is missing.`);
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
        `${what} is in OpenSSH format, which is not supported.`,
        'Copy the file and run `ssh-keygen -p -m PKCS8 -f COPY`, which converts the copy to PKCS#8.',
      );
    default:
      throw notRsa(what, label.replace(/ ?PRIVATE KEY$/, ''));
  }
}

function openPem(pem: string, what: string): KeyObject {
  try {
    return createPrivateKey({ key: pem, format: 'pem' });
  } catch {
    throw keyRefused('ERR_PEM_INVALID', `${what} cannot be read: it is damaged or of an unknown type.`);
  }
}

function decryptPem(pem: string, passphrase: string, what: string): KeyObject {
  try {
    return createPrivateKey({ key: pem, format: 'pem', passphrase });
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
