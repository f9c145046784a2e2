import { createPrivateKey, type KeyObject } from 'node:crypto';
import { printable } from '../shared/text.js';
import {
  identifyKeyFile,
  isEncryptedPkcs8,
  type KeyFileContent,
  readPrivateDer,
  readPublicDer,
} from './key-file.js';
import { isCutOff, type PemBlock, pemLabels, readPemBlocks, toPem } from './pem.js';
import {
  checkPrivateKey,
  keyRefused,
  notRsa,
  type PrivateKeyInFile,
  type RsaMembers,
} from './private-key.js';

/**
 * Reads the private key of a PEM file: PKCS#8 or PKCS#1, encrypted or not, whatever the label says. Errors have no cause,
 * because a message of OpenSSL may contain decrypted bytes.
 * @throws JwtctlError (usage) `ERR_PEM_INVALID`, `ERR_PEM_MANY_KEYS`, `ERR_PEM_UNSUPPORTED`, `ERR_KEY_NOT_PRIVATE`,
 * `ERR_KEY_NOT_RSA`, `ERR_PASSPHRASE_WRONG`; errors of {@link checkPrivateKey}
 */
export async function readPrivatePem(
  content: KeyFileContent,
  file: string,
  askPassphrase: () => Promise<string>,
): Promise<PrivateKeyInFile> {
  const what = `The key in ${printable(file)}`;
  const { block, der } = onlyPrivateBlock(pemText(content, file), printable(file));
  assertReadableLabel(block.label, what);
  const isEncrypted = block.headers !== '' || isEncryptedPkcs8(der);
  const key = isEncrypted ? decryptPem(block, der, await askPassphrase(), what) : openDer(der, what);
  if (key.asymmetricKeyType !== 'rsa') {
    throw notRsa(what, String(key.asymmetricKeyType));
  }
  const members = key.export({ format: 'jwk' }) as RsaMembers;
  return { ...(await checkPrivateKey(members, what)), what, kid: null, alg: null };
}

/** @throws JwtctlError `ERR_PEM_INVALID` (usage) that names what the file is instead */
export function pemText(content: KeyFileContent, file: string): string {
  const found = identifyKeyFile(content);
  switch (found.kind) {
    case 'pem':
      return found.text;
    case 'json':
      throw keyRefused(
        'ERR_PEM_INVALID',
        `${printable(file)} is JSON; expected a PEM file.`,
        'For a JWK, use `jwtctl keys import --jwk`.',
      );
    case 'other':
      throw keyRefused(
        'ERR_PEM_INVALID',
        `${printable(file)} is ${found.what}; expected a PEM file.`,
        found.hint,
      );
  }
}

function onlyPrivateBlock(text: string, file: string): { block: PemBlock; der: Buffer } {
  const labels = pemLabels(text);
  const count = labels.filter(isPrivate).length;
  if (count > 1) {
    throw keyRefused(
      'ERR_PEM_MANY_KEYS',
      `${file} contains ${count} private keys; expected one.`,
      'Import each key from its own file.',
    );
  }
  if (count === 0) {
    throw keyRefused(
      'ERR_KEY_NOT_PRIVATE',
      `${file} contains no private key, only ${labels[0]}.`,
      'Import the private key. For a key that only verifies, use `jwtctl keys import --public`.',
    );
  }
  const block = readPemBlocks(text).find(({ label }) => isPrivate(label));
  if (block === undefined) {
    throw keyRefused('ERR_PEM_INVALID', `The private key in ${file} is cut off: its END line is missing.`);
  }
  return { block, der: derOf(block, `The private key in ${file}`) };
}

function isPrivate(label: string): boolean {
  return /PRIVATE KEY( BLOCK)?$/.test(label);
}

/** @throws JwtctlError `ERR_PEM_INVALID` (usage) */
export function derOf({ der, label, headers }: PemBlock, what: string): Buffer {
  if (der === null) {
    throw keyRefused(
      'ERR_PEM_INVALID',
      `${what} is damaged: between its BEGIN and END lines are characters other than base64.`,
      'Copy the file again from its source.',
    );
  }
  const isAsn1 = headers === '' && !label.startsWith('OPENSSH') && !label.startsWith('PGP');
  if (isAsn1 && isCutOff(der)) {
    throw keyRefused(
      'ERR_PEM_INVALID',
      `${what} is cut off: lines between its BEGIN and END lines are missing.`,
      'Copy the file again from its source.',
    );
  }
  return der;
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
      throw notRsa(what, label.replace(/ ?PRIVATE KEY( BLOCK)?$/, ''));
  }
}

function openDer(der: Buffer, what: string): KeyObject {
  const key = readPrivateDer(der);
  if (key !== null) return key;
  if (readPublicDer(der) !== null) {
    throw keyRefused(
      'ERR_KEY_NOT_PRIVATE',
      `${what} is a public key or a certificate with the label of a private key.`,
      'Import the private key.',
    );
  }
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
