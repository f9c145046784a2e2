import { checkPrime, createPrivateKey, createPublicKey, type KeyObject } from 'node:crypto';
import { promisify } from 'node:util';
import { hasRocaFingerprint } from '../jose/roca.js';
import type { SigningAlgorithm } from '../model/signing-key.js';
import { type ErrorCode, JwtctlError } from '../shared/errors.js';

/** RFC 7518 §6.3.2. */
export const PRIVATE_MEMBERS = ['d', 'p', 'q', 'dp', 'dq', 'qi'] as const;
export const RSA_MEMBERS = ['n', 'e', ...PRIVATE_MEMBERS] as const;
export type RsaMember = (typeof RSA_MEMBERS)[number];
export type RsaMembers = Record<RsaMember, string>;
/** Without `p` and `q`, or with them but without others that follow from them. */
export type PartialRsaMembers = Pick<RsaMembers, 'n' | 'e' | 'd'> & Partial<RsaMembers>;

interface CheckedKey {
  publicKey: string;
  bits: number;
  thumbprint: string;
}

export interface KeyInFile extends CheckedKey {
  /** Null for a public key. */
  pkcs8: Uint8Array | null;
  /** The key's name in messages: `The key in key.pem`, `Key 2 of the set (kid k2) in jwks.json`. */
  what: string;
  /** From the file, unchecked. */
  kid: string | null;
  alg: SigningAlgorithm | null;
  /** What the user should know about how the file was read. */
  note?: string | undefined;
}

export const MAX_KEY_FILE_BYTES = 1_000_000;

const MIN_BITS = 2048;
const MAX_BITS = 8192;
const MIN_EXPONENT = 65_537n;
// OpenSSL refuses to verify with a longer exponent and a modulus of more than 3072 bits.
const MAX_EXPONENT = 2n ** 64n;

/**
 * Checks the numbers of an RSA key, as OpenSSL does not: with an inconsistent key every signature is invalid,
 * and with a wrong `dp`, `dq`, or `qi` one signature reveals the primes. Detects no other weaknesses.
 * @throws JwtctlError (usage) `ERR_KEY_SIZE`, `ERR_KEY_EXPONENT`, `ERR_KEY_MULTI_PRIME`,
 * `ERR_KEY_INCONSISTENT`; `ERR_KEY_WEAK_PRIMES` if primes are too short, too close (FIPS 186-5 A.1.3), or
 * have the ROCA fingerprint
 */
export async function checkPrivateKey(
  members: PartialRsaMembers,
  what: string,
): Promise<CheckedKey & { pkcs8: Uint8Array }> {
  const [n, e] = [toNumber(members.n), toNumber(members.e)];
  const bits = n.toString(2).length;
  assertSize(bits, what);
  assertExponent(e, what);
  const numbers = completed(members, { n, e, d: toNumber(members.d) });
  if (numbers === null) throw inconsistent(what);
  assertTwoPrimes(numbers, what);
  if (!isConsistent(numbers)) throw inconsistent(what);
  // Before the primality test, which is slow for a prime that is far too long.
  assertStrongPrimes(numbers, bits, what);
  if (!(await arePrime(numbers))) throw inconsistent(what);
  const jwk = { kty: 'RSA', ...toMembers(numbers) };
  const privateKey = createPrivateKey({ key: jwk, format: 'jwk' });
  const pkcs8 = privateKey.export({ type: 'pkcs8', format: 'der' });
  return { ...(await describe(createPublicKey(privateKey), bits)), pkcs8 };
}

/** Checks the numbers of a public RSA key. Errors as for {@link checkPrivateKey}, but its primes cannot be checked. */
export async function checkPublicKey(key: KeyObject, what: string): Promise<CheckedKey> {
  const { n, e } = key.export({ format: 'jwk' });
  const [modulus, exponent] = [toNumber(String(n)), toNumber(String(e))];
  const bits = modulus.toString(2).length;
  assertSize(bits, what);
  assertOdd(modulus, what);
  assertExponent(exponent, what);
  assertNotRoca(modulus, what);
  return describe(key, bits);
}

async function describe(key: KeyObject, bits: number): Promise<CheckedKey> {
  // Imported here to keep the cold start short.
  const { calculateJwkThumbprint } = await import('jose');
  const { n, e } = key.export({ format: 'jwk' });
  return {
    publicKey: key.export({ type: 'spki', format: 'pem' }).toString(),
    bits,
    thumbprint: await calculateJwkThumbprint({ kty: 'RSA', n: String(n), e: String(e) }, 'sha256'),
  };
}

/** RFC 7518 §3.3 and §3.5 require 2048 bits. Above 8192 bits, one signature takes seconds. */
function assertSize(bits: number, what: string): void {
  if (bits >= MIN_BITS && bits <= MAX_BITS) return;
  throw keyRefused('ERR_KEY_SIZE', `${what} has ${bits} bits; expected ${MIN_BITS} to ${MAX_BITS}.`);
}

/** Detects a wrong notation: two primes make an odd number. */
function assertOdd(n: bigint, what: string): void {
  if (n % 2n === 1n) return;
  throw keyRefused(
    'ERR_KEY_INCONSISTENT',
    `${what} is not an RSA key: its n is an even number.`,
    'Check the notation of n, and export the key again from its source.',
  );
}

function assertExponent(e: bigint, what: string): void {
  if (e >= MIN_EXPONENT && e < MAX_EXPONENT && e % 2n === 1n) return;
  throw keyRefused(
    'ERR_KEY_EXPONENT',
    `${what} has an unsupported public exponent; expected an odd number from ${MIN_EXPONENT} to 2^64.`,
  );
}

/** If `p * q` is a proper divisor of `n`, the key has more primes. */
function assertTwoPrimes({ n, p, q }: RsaNumbers, what: string): void {
  const product = p > 1n && q > 1n && p < n && q < n ? p * q : 0n;
  if (product === 0n || product >= n || n % product !== 0n) return;
  throw withMorePrimes(what);
}

function assertNotRoca(n: bigint, what: string): void {
  if (!hasRocaFingerprint(n)) return;
  throw keyRefused(
    'ERR_KEY_WEAK_PRIMES',
    `${what} has weak primes from the faulty generator of CVE-2017-15361 (ROCA), so its private key can be computed from its public key.`,
    'Do not use this key anywhere. Generate a new one with OpenSSL, Node, or `jwtctl keys generate`.',
  );
}

/** The elliptic curve method finds a short prime, and Fermat's method finds two close ones. */
function assertStrongPrimes({ n, p, q }: RsaNumbers, bits: number, what: string): void {
  assertNotRoca(n, what);
  const half = Math.floor(bits / 2);
  const [shorter, longer] = p < q ? [p, q] : [q, p];
  const isShort = shorter.toString(2).length < half;
  if (!isShort && longer - shorter > 2n ** BigInt(half - 100)) return;
  const fault = isShort ? 'one of them is too short' : 'they are too close to each other';
  throw keyRefused(
    'ERR_KEY_WEAK_PRIMES',
    `${what} has weak primes: ${fault} (FIPS 186-5 A.1.3), so its private key could be computed from its public key.`,
    'Do not use this key anywhere. Generate a new one with OpenSSL, Node, or `jwtctl keys generate`.',
  );
}

function inconsistent(what: string): JwtctlError {
  return keyRefused(
    'ERR_KEY_INCONSISTENT',
    `${what} is inconsistent: its numbers do not form an RSA key pair.`,
    'The file is damaged or mixes two keys. Export the key again from its source.',
  );
}

export function notRsa(what: string, kind: string): JwtctlError {
  return keyRefused('ERR_KEY_NOT_RSA', `${what} is of type ${kind}; jwtctl signs with RSA keys.`);
}

export function withMorePrimes(what: string): JwtctlError {
  return keyRefused('ERR_KEY_MULTI_PRIME', `${what} has more than two primes; only two are supported.`);
}

type RsaNumbers = Record<RsaMember, bigint>;

/** RFC 8017 §3.2. Checks each number's range first, so that a huge one cannot make this slow. */
function isConsistent({ n, e, d, p, q, dp, dq, qi }: RsaNumbers): boolean {
  const areInRange = p > 2n && q > 2n && p < n && q < n && d < n && dp < p && dq < q && qi < p;
  return (
    areInRange &&
    p * q === n &&
    (e * d) % leastCommonMultiple(p - 1n, q - 1n) === 1n &&
    (e * dp) % (p - 1n) === 1n &&
    (e * dq) % (q - 1n) === 1n &&
    (qi * q) % p === 1n
  );
}

async function arePrime({ p, q }: RsaNumbers): Promise<boolean> {
  const isPrime: (candidate: bigint) => Promise<boolean> = promisify(checkPrime);
  const answers = await Promise.all([isPrime(p), isPrime(q)]);
  return answers.every(Boolean);
}

/** Computes the members that are missing. Returns null if `n`, `e`, and `d` are not a key pair. */
function completed(
  members: PartialRsaMembers,
  { n, e, d }: Pick<RsaNumbers, 'n' | 'e' | 'd'>,
): RsaNumbers | null {
  const primes =
    members.p === undefined || members.q === undefined
      ? recoverPrimes(n, e, d)
      : { p: toNumber(members.p), q: toNumber(members.q) };
  if (primes === null) return null;
  const { p, q } = primes;
  const given = (name: RsaMember) => (members[name] === undefined ? null : toNumber(members[name]));
  return {
    ...{ n, e, d, p, q },
    dp: given('dp') ?? (p > 1n ? d % (p - 1n) : 0n),
    dq: given('dq') ?? (q > 1n ? d % (q - 1n) : 0n),
    // The inverse, by Fermat's little theorem. A `p` that is not prime is refused later.
    qi: given('qi') ?? (p > 2n && p < n ? power(q, p - 2n, p) : 0n),
  };
}

/** SP 800-56B, appendix C.1. Half of the bases reveal the primes, so 20 of them fail only for a wrong key. */
function recoverPrimes(n: bigint, e: bigint, d: bigint): { p: bigint; q: bigint } | null {
  if (d >= n || d <= 1n || n % 2n === 0n) return null;
  let exponent = e * d - 1n;
  let halvings = 0;
  for (; exponent % 2n === 0n; halvings++) exponent /= 2n;
  for (let base = 2n; base < 22n; base++) {
    let root = power(base, exponent, n);
    for (let count = 0; count < halvings; count++) {
      const square = (root * root) % n;
      if (square === 1n && root !== 1n && root !== n - 1n) {
        const p = greatestCommonDivisor(root - 1n, n);
        // RFC 8017 does not order the primes, but OpenSSL writes the larger one first.
        return p > n / p ? { p, q: n / p } : { p: n / p, q: p };
      }
      root = square;
    }
    if (root !== 1n) return null;
  }
  return null;
}

function power(base: bigint, exponent: bigint, modulus: bigint): bigint {
  let result = 1n;
  let square = base % modulus;
  for (const bit of [...exponent.toString(2)].reverse()) {
    if (bit === '1') result = (result * square) % modulus;
    square = (square * square) % modulus;
  }
  return result;
}

function greatestCommonDivisor(a: bigint, b: bigint): bigint {
  let [divisor, rest] = [a, b];
  while (rest !== 0n) [divisor, rest] = [rest, divisor % rest];
  return divisor;
}

function leastCommonMultiple(a: bigint, b: bigint): bigint {
  return (a / greatestCommonDivisor(a, b)) * b;
}

function toNumber(member: string): bigint {
  return BigInt(`0x0${Buffer.from(member, 'base64url').toString('hex')}`);
}

function toMembers(numbers: RsaNumbers): RsaMembers {
  return mapMembers(numbers, (number) => {
    const digits = number.toString(16);
    return Buffer.from(digits.padStart(digits.length + (digits.length % 2), '0'), 'hex').toString(
      'base64url',
    );
  });
}

function mapMembers<From, To>(
  members: Record<RsaMember, From>,
  change: (member: From) => To,
): Record<RsaMember, To> {
  const entries = RSA_MEMBERS.map((name) => [name, change(members[name])] as const);
  return Object.fromEntries(entries) as Record<RsaMember, To>;
}

/** Callers must not put the value of a member or block into the message. */
export function keyRefused(code: ErrorCode, message: string, hint?: string): JwtctlError {
  return new JwtctlError(code, message, { hint });
}
