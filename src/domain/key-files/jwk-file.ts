import { createPublicKey, type JsonWebKey, type KeyObject } from 'node:crypto';
import { isSigningAlgorithm, SIGNING_ALGORITHMS } from '../model/signing-key.js';
import { typeName } from '../shared/describe-value.js';
import type { JwtctlError } from '../shared/errors.js';
import { excerpt } from '../shared/text.js';
import { collectKeys, type SkippedKey } from './collect-keys.js';
import { base64Kind } from './key-file.js';
import {
  checkPrivateKey,
  checkPublicKey,
  type KeyInFile,
  keyRefused,
  notRsa,
  type PartialRsaMembers,
  PRIVATE_MEMBERS,
  RSA_MEMBERS,
  type RsaMember,
  withMorePrimes,
} from './rsa-key.js';

/** Of a private key, `public` reads only `n` and `e`. */
export type Wanted = 'private' | 'public';

export interface KeysInFile {
  /** Whether the file is a JWK Set or an array of JWKs. */
  isSet: boolean;
  keys: KeyInFile[];
  /** The other members of a set, with the reason. */
  skipped: SkippedKey[];
}

/**
 * Reads a JWK, or the RSA signing keys of a JWK Set or of an array (RFC 7517 §4, §5; RFC 7518 §6.3).
 * @throws JwtctlError (usage) `ERR_JWK_INVALID`, `ERR_JWK_INCOMPLETE`, `ERR_KEY_NOT_PRIVATE`, `ERR_KEY_NOT_RSA`,
 * `ERR_KEY_NOT_FOR_SIGNING`; errors of {@link checkPrivateKey}. For a set, only if it has no key that can be read
 */
export async function readJwks(
  document: object,
  file: string,
  wanted: Wanted,
  signal?: AbortSignal,
): Promise<KeysInFile> {
  const members = isObject(document) ? document.keys : document;
  if (members === undefined) {
    return { isSet: false, keys: [await readJwk(document, wanted, `The key in ${file}`)], skipped: [] };
  }
  if (!Array.isArray(members) || members.length === 0) {
    throw keyRefused('ERR_JWK_INVALID', `The JWK Set in ${file} has no keys.`);
  }
  const read = (jwk: unknown, index: number) => {
    signal?.throwIfAborted();
    const kid = kidOf(jwk);
    const name = kid === null ? '' : ` (kid ${excerpt(kid)})`;
    return readJwk(jwk, wanted, `Key ${index + 1} of the set${name} in ${file}`);
  };
  return { isSet: true, ...(await collectKeys(members, kidOf, read)) };
}

async function readJwk(value: unknown, wanted: Wanted, what: string): Promise<KeyInFile> {
  if (!isObject(value)) {
    throw keyRefused('ERR_JWK_INVALID', `${what} is ${typeName(value)}; expected a JSON object.`);
  }
  const jwk = withoutEmpty(value);
  assertIsJwk(jwk, what);
  if (jwk.kty !== 'RSA') throw notRsa(what, excerpt(String(jwk.kty)));
  assertForSigning(jwk, wanted, what);
  const { alg = null } = jwk;
  if (alg !== null && !isSigningAlgorithm(alg)) {
    throw keyRefused(
      'ERR_KEY_NOT_FOR_SIGNING',
      `${what} has the alg ${excerpt(String(alg))}; supported: ${SIGNING_ALGORITHMS.join(', ')}.`,
    );
  }
  if (jwk.kid !== undefined && typeof jwk.kid !== 'string') throw illTyped(what, 'kid', jwk.kid, 'a string');
  const checked =
    wanted === 'private'
      ? await checkPrivateKey(privateMembersOf(jwk, what), what)
      : { ...(await checkPublicKey(toPublicKey(membersOf(jwk, ['n', 'e'], what)), what)), pkcs8: null };
  return { ...checked, what, kid: jwk.kid ?? null, alg };
}

/** Serializers write absent members as null or as an empty list. */
function withoutEmpty(jwk: Record<string, unknown>): Record<string, unknown> {
  const isEmpty = ([name, value]: [string, unknown]) =>
    value === null || ((name === 'key_ops' || name === 'oth') && Array.isArray(value) && value.length === 0);
  return Object.fromEntries(Object.entries(jwk).filter((member) => !isEmpty(member)));
}

function assertIsJwk(jwk: Record<string, unknown>, what: string): void {
  if (typeof jwk.kty === 'string') return;
  if (typeof jwk.jwks_uri === 'string') {
    throw keyRefused(
      'ERR_JWK_INVALID',
      `${what} is not a JWK, but a discovery document.`,
      'Download the JWK Set from its jwks_uri, and import the public keys.',
    );
  }
  throw illTyped(what, 'kty', jwk.kty, 'a string');
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
    `${what} is not for signing: its ${isOtherUse ? `use is ${excerpt(use)}` : `key_ops lacks ${needed}`}.`,
    `If your tokens are signed with this key, remove ${isOtherUse ? 'use' : 'key_ops'} from the JWK, and import it again.`,
  );
}

function privateMembersOf(jwk: Record<string, unknown>, what: string): PartialRsaMembers {
  if (PRIVATE_MEMBERS.every((name) => jwk[name] === undefined)) {
    throw keyRefused('ERR_KEY_NOT_PRIVATE', `${what} is a public key.`);
  }
  if (jwk.oth !== undefined) throw withMorePrimes(what);
  const [hasP, hasQ] = [jwk.p !== undefined, jwk.q !== undefined];
  const isMinimal = !hasP && !hasQ && ['dp', 'dq', 'qi'].every((name) => jwk[name] === undefined);
  const given = RSA_MEMBERS.filter((name) => jwk[name] !== undefined);
  const required = isMinimal ? (['n', 'e', 'd'] as const) : (['n', 'e', 'd', 'p', 'q'] as const);
  return membersOf(jwk, [...new Set([...required, ...given])], what);
}

function membersOf(
  jwk: Record<string, unknown>,
  names: readonly RsaMember[],
  what: string,
): PartialRsaMembers {
  const missing = names.filter((name) => jwk[name] === undefined);
  if (missing.length > 0) {
    throw keyRefused(
      'ERR_JWK_INCOMPLETE',
      `${what} lacks ${missing.join(', ')} (RFC 7518 §6.3.2).`,
      'Export the key again from its source, with all members.',
    );
  }
  const other = names.includes('n') ? otherNotation(jwk.n) : null;
  if (other !== null) {
    throw keyRefused(
      'ERR_JWK_INVALID',
      `${what} is refused: its member n is ${other}; expected base64url (RFC 7518 §6.3.1).`,
      'Convert n and all other numbers of the key. For hexadecimal: `printf %s DIGITS | xxd -r -p | base64 -w 0`.',
    );
  }
  for (const name of names) {
    if (!isBase64url(jwk[name])) throw illTyped(what, name, jwk[name], 'a string in base64url');
  }
  return Object.fromEntries(names.map((name) => [name, jwk[name]])) as PartialRsaMembers;
}

function kidOf(jwk: unknown): string | null {
  return isObject(jwk) && typeof jwk.kid === 'string' ? jwk.kid : null;
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function isListOfStrings(value: unknown): value is string[] {
  return Array.isArray(value) && value.every((item) => typeof item === 'string');
}

/** Some programs write base64 or padding, which RFC 7518 §2 does not have. */
function isBase64url(value: unknown): value is string {
  const digits = typeof value === 'string' ? /^([A-Za-z0-9_+/-]+)={0,2}$/.exec(value)?.[1] : undefined;
  return digits !== undefined && digits.length % 4 !== 1;
}

/** Names the notation of a modulus whose digits could also be read as base64url. */
function otherNotation(n: unknown): string | null {
  if (typeof n !== 'string') return null;
  if (DECIMAL.test(n)) return 'decimal';
  if (HEXADECIMAL.test(n)) return 'hexadecimal';
  if (HEXADECIMAL.test(Buffer.from(n, 'base64url').toString('latin1'))) return 'hexadecimal in base64';
  return base64Kind(n) === null ? null : 'a whole key in base64';
}

/** Shorter numbers are too short for a key, and are refused for that. */
const DECIMAL = /^\d{256,}$/;
const HEXADECIMAL = /^(?:0x)?[0-9a-f:\s]{256,}$/i;

/** The value is not shown, because it may be a part of a private key. */
function illTyped(what: string, member: string, value: unknown, expected: string): JwtctlError {
  const problem = `its member ${member} is ${typeName(value)}; expected ${expected}`;
  return keyRefused('ERR_JWK_INVALID', `${what} is refused: ${problem}.`);
}
