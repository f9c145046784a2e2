import { createPrivateKey, createPublicKey, X509Certificate } from 'node:crypto';
import { decodeAnyText, utf16Of } from '../shared/decode-text.js';
import { type FileFormat, FORMAT_NAMES, fileFormat } from '../shared/file-format.js';

/** What a file given as a key is. */
export type KeyFile =
  /** Text with a BEGIN line, or JSON. */
  | { kind: 'pem' | 'json'; text: string }
  /** Anything else: what it is, for a sentence, and what to do. */
  | { kind: 'other'; what: string; hint: string };

export type KeyFileContent = string | Uint8Array;

/** Decides what a file is by its first bytes. UTF-16 and a byte order mark are read like UTF-8. */
export function identifyKeyFile(content: KeyFileContent): KeyFile {
  const bytes = typeof content === 'string' ? Buffer.from(content) : Buffer.from(content);
  const binary = binaryKind(bytes);
  if (binary !== null) return { kind: 'other', ...binary };
  const text = decodeAnyText(bytes).trim();
  if (/-----BEGIN [A-Z0-9 ]+-----/.test(text)) return { kind: 'pem', text };
  if (/^[[{]/.test(text)) return { kind: 'json', text };
  return { kind: 'other', ...(textKind(text) ?? { what: 'text that is not a key', hint: EXPECTED }) };
}

interface Other {
  what: string;
  hint: string;
}

const EXPECTED = 'Use a PEM file (BEGIN PRIVATE KEY) or a JWK.';

const FORMAT_HINTS: Readonly<Record<FileFormat, string>> = {
  JKS: 'Run `keytool -importkeystore -srckeystore FILE -destkeystore key.p12 -deststoretype pkcs12`, then `openssl pkcs12 -in key.p12 -nocerts -noenc`.',
  JCEKS:
    'Run `keytool -importkeystore -srckeystore FILE -srcstoretype jceks -destkeystore key.p12 -deststoretype pkcs12`, then `openssl pkcs12 -in key.p12 -nocerts -noenc`.',
  ZIP: 'Extract the key from the archive first.',
  gzip: 'Decompress the file first.',
  PDF: EXPECTED,
  SQLite: EXPECTED,
};

function binaryKind(bytes: Buffer): Other | null {
  const format = fileFormat(bytes);
  if (format !== null) return { what: FORMAT_NAMES[format], hint: FORMAT_HINTS[format] };
  const kind = derKind(bytes);
  if (kind === 'PKCS#12') return { what: PKCS12, hint: DER_HINTS[kind] };
  if (kind !== null) return { what: `a ${kind.toLowerCase()} in DER form`, hint: DER_HINTS[kind] };
  if (isSequence(bytes)) return { what: 'DER data, but no key that can be read', hint: EXPECTED };
  const isUtf16 = utf16Of(bytes) !== null;
  return !isUtf16 && bytes.includes(0) ? { what: 'binary data of an unknown kind', hint: EXPECTED } : null;
}

/** All but PKCS#12 are labels of PEM (RFC 7468). */
type DerKind = 'PKCS#12' | 'PRIVATE KEY' | 'CERTIFICATE' | 'PUBLIC KEY';

const PKCS12 = 'a PKCS#12 file (.p12 or .pfx)';

const DER_HINTS: Record<DerKind, string> = {
  'PKCS#12': 'Run `openssl pkcs12 -in FILE -nocerts -noenc -out key.pem`, and import key.pem.',
  'PRIVATE KEY': 'Run `openssl pkey -inform DER -in FILE -out key.pem`, and import key.pem.',
  CERTIFICATE:
    'For a key that only verifies, run `openssl x509 -inform DER -in FILE -out cert.pem`, and import cert.pem as a public key.',
  'PUBLIC KEY':
    'For a key that only verifies, run `openssl pkey -pubin -inform DER -in FILE -out public.pem`, and import public.pem as a public key.',
};

/** Whether it begins as DER of at least 128 bytes, as any key does. As text it would be '0' and a non-ASCII byte. */
function isSequence([first, second = 0]: Uint8Array): boolean {
  return first === 0x30 && second > 0x80;
}

function derKind(der: Buffer): DerKind | null {
  if (!isSequence(der)) return null;
  const header = 2 + ((der[1] ?? 0) & 0x7f);
  if (der.subarray(header, header + 3).toString('hex') === '020103') return 'PKCS#12';
  if (readPrivateDer(der) !== null || isEncryptedPkcs8(der)) return 'PRIVATE KEY';
  if (isCertificate(der)) return 'CERTIFICATE';
  return readPublicDer(der) === null ? null : 'PUBLIC KEY';
}

function textKind(text: string): Other | null {
  if (text === '') return { what: 'empty', hint: 'Check the name of the file and how it was copied.' };
  for (const [pattern, what, hint] of TEXTS) if (pattern.test(text)) return { what, hint };
  const kind = base64Kind(text);
  if (kind === 'PEM') {
    return { what: 'a PEM file encoded in base64', hint: 'Decode it once: `base64 -d FILE > key.pem`.' };
  }
  if (kind === 'PKCS#12') {
    return { what: `${PKCS12} in base64`, hint: `Decode it with \`base64 -d\`. ${DER_HINTS[kind]}` };
  }
  if (kind !== null) {
    return {
      what: `a ${kind.toLowerCase()} in base64, without its BEGIN and END lines`,
      hint: `Put the line -----BEGIN ${kind}----- before the text, and the line -----END ${kind}----- after it.`,
    };
  }
  if (text.includes(PEM_IN_BASE64)) return aroundBase64(text);
  if (/^[^\s]+$/.test(text) && text.length <= 1_024) {
    return {
      what: 'a secret or a password, such as the key of HS256, not an RSA key',
      hint: 'jwtctl does not use HS256, because everyone who verifies such tokens could also sign them. Generate a key with `jwtctl keys generate`.',
    };
  }
  return null;
}

/** `-----BEGIN ` in base64. */
const PEM_IN_BASE64 = 'LS0tLS1CRUdJTi';

function aroundBase64(text: string): Other {
  const isSecret = /^kind:\s*["']?Secret\b/m.test(text);
  return isSecret
    ? {
        what: 'a Kubernetes Secret, whose values are in base64',
        hint: "Take the key out: `kubectl get secret NAME -o jsonpath='{.data.MEMBER}' | base64 -d > key.pem`.",
      }
    : {
        what: 'text around a PEM file in base64',
        hint: 'Decode the part that begins with LS0t: `base64 -d > key.pem`.',
      };
}

/** Returns what a text in base64 encodes; null if it is no key. */
export function base64Kind(text: string): 'PEM' | DerKind | null {
  const compact = text.replace(/\s/g, '');
  if (!/^[A-Za-z0-9+/_-]{40,}={0,2}$/.test(compact)) return null;
  const decoded = Buffer.from(compact, 'base64');
  return decoded.includes('-----BEGIN ') ? 'PEM' : derKind(decoded);
}

const OPENSSH_PUBLIC =
  'For a key that only verifies, run `ssh-keygen -e -m PKCS8 -f FILE`, and import the output as a public key.';

const TEXTS: ReadonlyArray<[pattern: RegExp, what: string, hint: string]> = [
  [
    /^PuTTY-User-Key-File-\d/,
    'a PuTTY key (.ppk)',
    'Run `puttygen FILE -O private-openssh -o key`, then `ssh-keygen -p -m PKCS8 -f key`.',
  ],
  [
    /^version https:\/\/git-lfs/,
    'a pointer of Git LFS',
    'Run `git lfs pull` in the repository, which fetches the file itself.',
  ],
  [
    /^\$ANSIBLE_VAULT;/,
    'encrypted by Ansible Vault',
    'Decrypt it with `ansible-vault view FILE`, and import the output.',
  ],
  [/^(ssh-(rsa|ed25519|dss)|ecdsa-sha2-\S+|sk-\S+) /, 'an OpenSSH public key', OPENSSH_PUBLIC],
  [/^---- BEGIN SSH2 PUBLIC KEY ----/, 'an SSH public key (RFC 4716)', OPENSSH_PUBLIC],
  [
    /BEGIN [A-Z0-9 ]*(KEY|CERTIFICATE)/,
    'a PEM file with a damaged BEGIN line',
    'The line must be -----BEGIN PRIVATE KEY----- with five hyphens on each side. Copy the file again from its source.',
  ],
  [
    /^<RSAKeyValue>/,
    'an XML key of .NET (RSAKeyValue)',
    'Export it as PEM, for example with RSA.ExportPkcs8PrivateKeyPem().',
  ],
  [/^<(!doctype|html|head|body)/i, 'an HTML page', 'Download the file itself, not the page that shows it.'],
  [/^</, 'an XML document', EXPECTED],
  [
    /^(MD5:|SHA1:)?([0-9A-F]{2}:){15,63}[0-9A-F]{2}$|^SHA256:[A-Za-z0-9+/]{43}=?$|^[0-9A-F]{40}$|^[0-9A-F]{64}$/i,
    'a fingerprint or another hash, not a key',
    EXPECTED,
  ],
  [/^\s*(?:- )?["']?kty["']?:\s+\S/m, 'a JWK in YAML', 'Convert the file to JSON: `yq -o json FILE`.'],
  [/^eyJ[\w-]*\.[\w-]*\.[\w.-]*$/, 'a JWT, not a key', 'To register tokens, run `jwtctl token register`.'],
  [
    // Padded base64 may begin with a slash, too.
    /^(?![\w+/]{20,}={1,2}$)(arn:aws:|projects\/|https?:\/\/|file:|vault:|\/|[A-Za-z]:\\|\.{1,2}\/)\S*$/,
    'the name or address of a key, not the key',
    'Get the key from that place first.',
  ],
];

function isCertificate(der: Buffer): boolean {
  try {
    return new X509Certificate(der) !== null;
  } catch {
    return false;
  }
}

/** EncryptedPrivateKeyInfo (RFC 5958 §3): a password-based algorithm (PKCS#5 or PKCS#12) comes first. */
export function isEncryptedPkcs8(der: Buffer): boolean {
  const algorithm = der.subarray(0, 24).toString('hex');
  return /^30.{2,8}30.{2,6}06(092a864886f70d0105|0a2a864886f70d010c)/.test(algorithm);
}

/** Reads PKCS#8, PKCS#1, or SEC 1, whatever the label says. */
export function readPrivateDer(der: Buffer) {
  for (const type of ['pkcs8', 'pkcs1', 'sec1'] as const) {
    try {
      return createPrivateKey({ key: der, format: 'der', type });
    } catch {
      // Another form. The reason may quote the key.
    }
  }
  return null;
}

/** Reads SPKI, PKCS#1, or the key of an X.509 certificate, whatever the label says. */
export function readPublicDer(der: Buffer) {
  for (const type of ['spki', 'pkcs1'] as const) {
    try {
      return createPublicKey({ key: der, format: 'der', type });
    } catch {
      // Another form.
    }
  }
  try {
    return new X509Certificate(der).publicKey;
  } catch {
    return null;
  }
}
