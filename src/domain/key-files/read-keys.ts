import { printable } from '../shared/text.js';
import { type KeysInFile, readJwks, type Wanted } from './jwk-file.js';
import { identifyKeyFile, type KeyFileContent } from './key-file.js';
import { isPemMap, keyInJson, readPemMap } from './key-in-json.js';
import { readPrivatePem } from './private-pem.js';
import { readPublicPem } from './public-pem.js';
import { keyRefused } from './rsa-key.js';

export interface KeyFileOptions {
  /** The file's name, for messages. */
  name: string;
  wanted: Wanted;
  /** Default: either */
  form?: 'pem' | 'jwk' | undefined;
  /** Called for an encrypted private key. */
  askPassphrase(): Promise<string>;
  signal?: AbortSignal | undefined;
}

/**
 * Reads the key of a PEM file (PKCS#8, PKCS#1, SPKI, X.509) or of a JWK, or the RSA signing keys of a JWK Set or of a map
 * of PEM files.
 * @throws JwtctlError (usage) `ERR_PEM_INVALID`, `ERR_JWK_INVALID`; errors of {@link readPrivatePem},
 * {@link readPublicPem}, and {@link readJwks}
 */
export async function readKeys(content: KeyFileContent, options: KeyFileOptions): Promise<KeysInFile> {
  const { name, wanted, askPassphrase, signal } = options;
  const file = printable(name);
  const found = identifyKeyFile(content);
  const form = options.form ?? (found.kind === 'json' ? 'jwk' : 'pem');
  const refused = (what: string, hint?: string) =>
    form === 'jwk'
      ? keyRefused('ERR_JWK_INVALID', `${file} is ${what}; expected a JWK.`, hint)
      : keyRefused('ERR_PEM_INVALID', `${file} is ${what}; expected a PEM file.`, hint);
  if (found.kind === 'other') throw refused(found.what, found.hint);
  const document = parseObject(found.text);
  if (isPemMap(document)) return readPemMap(document, file, wanted, askPassphrase);
  const inside = document === null || isJwks(document) ? null : keyInJson(document);
  if (form === 'jwk') {
    if (document === null) throw refused(found.kind === 'pem' ? 'a PEM file' : 'not valid JSON');
    if (inside !== null) throw refused(inside.what, inside.hint);
    return readJwks(document, file, wanted, signal);
  }
  if (found.kind === 'json') throw refused(inside?.what ?? 'JSON', inside?.hint);
  const read = wanted === 'public' ? readPublicPem : readPrivatePem;
  return { isSet: false, keys: [await read(found.text, file, askPassphrase)], skipped: [] };
}

function isJwks(document: object): boolean {
  return Array.isArray(document) || 'kty' in document || ('keys' in document && Array.isArray(document.keys));
}

/** Returns null if the text is not a JSON object or array. The reason would quote the text. */
function parseObject(text: string): object | null {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' ? value : null;
  } catch {
    return null;
  }
}
