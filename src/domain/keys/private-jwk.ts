import { createPublicKey, type JsonWebKey, type KeyObject } from 'node:crypto';
import { isSigningAlgorithm, SIGNING_ALGORITHMS } from '../model/signing-key.js';
import { typeName } from '../shared/describe-value.js';
import { JwtctlError } from '../shared/errors.js';
import { excerpt, printable } from '../shared/text.js';
import { identifyKeyFile, type KeyFileContent } from './key-file.js';
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
} from './private-key.js';

type Wanted = 'private' | 'public';

export interface KeysInFile {
  isSet: boolean;
  keys: KeyInFile[];
  /** The other members of a set, with the reason. */
  skipped: SkippedKey[];
}

export interface SkippedKey {
  /** From the file, unchecked. */
  kid: string | null;
  error: JwtctlError;
}

/**
 * Reads a private JWK, or the RSA signing keys of a JWK Set or of an array (RFC 7517 §4, §5; RFC 7518 §6.3).
 * @throws JwtctlError (usage) `ERR_JWK_INVALID`, `ERR_JWK_INCOMPLETE`, `ERR_KEY_NOT_PRIVATE`, `ERR_KEY_NOT_RSA`,
 * `ERR_KEY_NOT_FOR_SIGNING`; errors of {@link checkPrivateKey}. For a set, only if it has no key that can be read
 */
export function readPrivateJwks(
  content: KeyFileContent,
  file: string,
  signal?: AbortSignal,
): Promise<KeysInFile> {
  return readJwks(content, file, 'private', signal);
}

/** Reads public keys like {@link readPrivateJwks}, and of a private key only `n` and `e`. */
export function readPublicJwks(
  content: KeyFileContent,
  file: string,
  signal?: AbortSignal,
): Promise<KeysInFile> {
  return readJwks(content, file, 'public', signal);
}

async function readJwks(
  content: KeyFileContent,
  file: string,
  wanted: Wanted,
  signal?: AbortSignal,
): Promise<KeysInFile> {
  const name = printable(file);
  const document = parseJson(content, name);
  const members = Array.isArray(document) ? document : document.keys;
  if (members === undefined) {
    return { isSet: false, keys: [await readJwk(document, wanted, `The key in ${name}`)], skipped: [] };
  }
  if (!Array.isArray(members) || members.length === 0) {
    throw keyRefused('ERR_JWK_INVALID', `The JWK Set in ${name} has no keys.`);
  }
  const keys: KeyInFile[] = [];
  const skipped: SkippedKey[] = [];
  for (const [index, jwk] of members.entries()) {
    signal?.throwIfAborted();
    try {
      keys.push(await readJwk(jwk, wanted, `Key ${index + 1} of the set${kidOf(jwk)} in ${name}`));
    } catch (error) {
      if (!(error instanceof JwtctlError)) throw error;
      skipped.push({ kid: isObject(jwk) && typeof jwk.kid === 'string' ? jwk.kid : null, error });
    }
  }
  if (keys.length === 0 && skipped[0] !== undefined) throw skipped[0].error;
  return { isSet: true, keys, skipped };
}

function parseJson(content: KeyFileContent, name: string): Record<string, unknown> | unknown[] {
  const found = identifyKeyFile(content);
  if (found.kind === 'other') {
    throw keyRefused('ERR_JWK_INVALID', `${name} is ${found.what}; expected a JWK.`, found.hint);
  }
  try {
    const value: unknown = JSON.parse(found.text);
    if (Array.isArray(value) || isObject(value)) return value;
  } catch {
    // The reason quotes the text.
  }
  throw found.kind === 'pem'
    ? keyRefused(
        'ERR_JWK_INVALID',
        `${name} is a PEM file; expected a JWK.`,
        'For a PEM file, use `jwtctl keys import --pem`.',
      )
    : keyRefused('ERR_JWK_INVALID', `${name} is not valid JSON; expected a JWK.`);
}

async function readJwk(value: unknown, wanted: Wanted, what: string): Promise<KeyInFile> {
  if (!isObject(value)) {
    throw keyRefused('ERR_JWK_INVALID', `${what} is ${typeName(value)}; expected a JSON object.`);
  }
  const jwk = withoutEmpty(value);
  assertIsJwk(jwk, what);
  if (jwk.kty !== 'RSA') throw notRsa(what, excerpt(String(jwk.kty)));
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
      ? await checkPrivateKey(privateMembersOf(jwk, what), what)
      : { ...(await checkPublicKey(toPublicKey(membersOf(jwk, ['n', 'e'], what)), what)), pkcs8: null };
  return { ...checked, what, kid: jwk.kid ?? null, alg: jwk.alg ?? null };
}

/** Serializers write absent members as null or as an empty list. */
function withoutEmpty(jwk: Record<string, unknown>): Record<string, unknown> {
  const isEmpty = ([name, value]: [string, unknown]) =>
    value === null || ((name === 'key_ops' || name === 'oth') && Array.isArray(value) && value.length === 0);
  return Object.fromEntries(Object.entries(jwk).filter((member) => !isEmpty(member)));
}

function assertIsJwk(jwk: Record<string, unknown>, what: string): void {
  if (typeof jwk.kty === 'string') return;
  if (typeof jwk.private_key === 'string' && jwk.private_key.includes('-----BEGIN ')) {
    throw keyRefused(
      'ERR_JWK_INVALID',
      `${what} is a PEM key inside JSON.`,
      'Use `jwtctl keys import --pem` with the same file.',
    );
  }
  if (typeof jwk.jwks_uri === 'string') {
    throw keyRefused(
      'ERR_JWK_INVALID',
      `${what} is not a JWK, but a discovery document.`,
      'Its jwks_uri has the public keys; import them with `jwtctl keys import --public`.',
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
    `${what} is not for signing: its ${isOtherUse ? 'use is not sig' : `key_ops lacks ${needed}`}.`,
  );
}

function privateMembersOf(jwk: Record<string, unknown>, what: string): PartialRsaMembers {
  if (PRIVATE_MEMBERS.every((name) => jwk[name] === undefined)) {
    throw keyRefused(
      'ERR_KEY_NOT_PRIVATE',
      `${what} is a public key.`,
      'Import the private key. For a key that only verifies, use `jwtctl keys import --public`.',
    );
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
      'Export it again from its source, with all members.',
    );
  }
  for (const name of names) {
    if (!isBase64url(jwk[name])) throw illTyped(what, name, jwk[name], 'a string in base64url');
  }
  return Object.fromEntries(names.map((name) => [name, jwk[name]])) as PartialRsaMembers;
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

/** Some programs write base64 or padding, which RFC 7518 §2 does not have. */
function isBase64url(value: unknown): value is string {
  const digits = typeof value === 'string' ? /^([A-Za-z0-9_+/-]+)={0,2}$/.exec(value)?.[1] : undefined;
  return digits !== undefined && digits.length % 4 !== 1;
}

/** The value is not shown, because it may be a part of a private key. */
function illTyped(what: string, member: string, value: unknown, expected: string): JwtctlError {
  const problem = `its member ${member} is ${typeName(value)}; expected ${expected}`;
  return keyRefused('ERR_JWK_INVALID', `${what} is refused: ${problem}.`);
}
