import { createPublicKey, type JsonWebKey, type KeyObject } from 'node:crypto';
import { parseJsonObject } from '../jose/jws.js';
import { isSigningAlgorithm, SIGNING_ALGORITHMS } from '../model/signing-key.js';
import { typeName } from '../shared/describe-value.js';
import type { JwtctlError } from '../shared/errors.js';
import { excerpt, printable } from '../shared/text.js';
import {
  checkPrivateKey,
  checkPublicKey,
  type KeyInFile,
  keyRefused,
  notRsa,
  PRIVATE_MEMBERS,
  RSA_MEMBERS,
  type RsaMembers,
  withMorePrimes,
} from './private-key.js';

type Wanted = 'private' | 'public';

interface KeysInFile {
  isSet: boolean;
  keys: KeyInFile[];
}

/**
 * Reads a private JWK, or every key of a JWK Set (RFC 7517 §4, §5; RFC 7518 §6.3).
 * @throws JwtctlError (usage) `ERR_JWK_INVALID`, `ERR_JWK_INCOMPLETE`, `ERR_KEY_NOT_PRIVATE`,
 * `ERR_KEY_NOT_RSA`, `ERR_KEY_NOT_FOR_SIGNING`; errors of {@link checkPrivateKey}
 */
export function readPrivateJwks(text: string, file: string, signal?: AbortSignal): Promise<KeysInFile> {
  return readJwks(text, file, 'private', signal);
}

/** Reads public keys like {@link readPrivateJwks}, and of a private key only `n` and `e`. */
export function readPublicJwks(text: string, file: string, signal?: AbortSignal): Promise<KeysInFile> {
  return readJwks(text, file, 'public', signal);
}

async function readJwks(
  text: string,
  file: string,
  wanted: Wanted,
  signal?: AbortSignal,
): Promise<KeysInFile> {
  const name = printable(file);
  const document = parseJsonObject(Buffer.from(text));
  if (document === null) throw keyRefused('ERR_JWK_INVALID', `${name} does not contain a JSON object.`);
  if (!Object.hasOwn(document, 'keys')) {
    return { isSet: false, keys: [await readJwk(document, wanted, `The key in ${name}`)] };
  }
  if (!Array.isArray(document.keys) || document.keys.length === 0) {
    throw keyRefused('ERR_JWK_INVALID', `The JWK Set in ${name} has no keys.`);
  }
  const keys: KeyInFile[] = [];
  for (const [index, jwk] of document.keys.entries()) {
    signal?.throwIfAborted();
    keys.push(await readJwk(jwk, wanted, `Key ${index + 1} of the set${kidOf(jwk)} in ${name}`));
  }
  return { isSet: true, keys };
}

async function readJwk(jwk: unknown, wanted: Wanted, what: string): Promise<KeyInFile> {
  if (!isObject(jwk))
    throw keyRefused('ERR_JWK_INVALID', `${what} is ${typeName(jwk)}; expected a JSON object.`);
  if (typeof jwk.kty !== 'string') throw illTyped(what, 'kty', jwk.kty, 'a string');
  if (jwk.kty !== 'RSA') throw notRsa(what, excerpt(jwk.kty));
  assertForSigning(jwk, wanted, what);
  if (jwk.alg !== undefined && !isSigningAlgorithm(jwk.alg)) {
    throw keyRefused(
      'ERR_KEY_NOT_FOR_SIGNING',
      `${what} has an unsupported alg; supported: ${SIGNING_ALGORITHMS.join(', ')}.`,
    );
  }
  if (jwk.kid !== undefined && typeof jwk.kid !== 'string') throw illTyped(what, 'kid', jwk.kid, 'a string');
  const checked =
    wanted === 'private'
      ? await checkPrivateKey(membersOf(jwk, RSA_MEMBERS, what) as RsaMembers, what)
      : { ...(await checkPublicKey(toPublicKey(membersOf(jwk, ['n', 'e'], what)), what)), pkcs8: null };
  return { ...checked, what, kid: jwk.kid ?? null, alg: jwk.alg ?? null };
}

function toPublicKey({ n, e }: JsonWebKey): KeyObject {
  return createPublicKey({ key: { kty: 'RSA', n: String(n), e: String(e) }, format: 'jwk' });
}

/** RFC 7517 §4.2 and §4.3. */
function assertForSigning(
  { use, key_ops: operations }: Record<string, unknown>,
  wanted: Wanted,
  what: string,
): void {
  const needed = wanted === 'private' ? 'sign' : 'verify';
  if (use !== undefined && typeof use !== 'string') throw illTyped(what, 'use', use, 'a string');
  if (operations !== undefined && !isListOfStrings(operations)) {
    throw illTyped(what, 'key_ops', operations, 'an array of strings');
  }
  const isOtherUse = use !== undefined && use !== 'sig';
  if (!isOtherUse && (operations === undefined || operations.includes(needed))) return;
  throw keyRefused(
    'ERR_KEY_NOT_FOR_SIGNING',
    `${what} is not for signing: its ${isOtherUse ? 'use is not sig' : `key_ops lacks ${needed}`}.`,
  );
}

function membersOf(jwk: Record<string, unknown>, names: readonly string[], what: string): JsonWebKey {
  const missing = names.filter((name) => jwk[name] === undefined);
  if (names.length > 2 && PRIVATE_MEMBERS.every((name) => jwk[name] === undefined)) {
    throw keyRefused('ERR_KEY_NOT_PRIVATE', `${what} is a public key.`, 'Import the private key.');
  }
  if (names.length > 2 && jwk.oth !== undefined) throw withMorePrimes(what);
  if (missing.length > 0) {
    throw keyRefused(
      'ERR_JWK_INCOMPLETE',
      `${what} lacks ${missing.join(', ')} (RFC 7518 §6.3.2).`,
      'Export it again from its source, with all members.',
    );
  }
  for (const name of names) {
    if (!isBase64url(jwk[name])) throw illTyped(what, name, jwk[name], 'a string in base64url');
  }
  return jwk as JsonWebKey;
}

function kidOf(jwk: unknown): string {
  return isObject(jwk) && typeof jwk.kid === 'string' ? ` (kid ${excerpt(jwk.kid)})` : '';
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function isListOfStrings(value: unknown): value is string[] {
  return Array.isArray(value) && value.every((item) => typeof item === 'string');
}

function isBase64url(value: unknown): value is string {
  return typeof value === 'string' && /^[A-Za-z0-9_-]+$/.test(value) && value.length % 4 !== 1;
}

/** The value is not shown, because it may be a part of a private key. */
function illTyped(what: string, member: string, value: unknown, expected: string): JwtctlError {
  const problem = `its member ${member} is ${typeName(value)}; expected ${expected}`;
  return keyRefused('ERR_JWK_INVALID', `${what} is refused: ${problem}.`);
}
