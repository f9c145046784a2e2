import { checkPrime, createPrivateKey, createPublicKey } from 'node:crypto';
import { promisify } from 'node:util';
import { hasRocaFingerprint } from '../jose/roca.js';
import type { SigningAlgorithm } from '../model/signing-key.js';
import { type ErrorCode, JwtctlError } from '../shared/errors.js';

/** The members that an RSA private key of two primes has beside those of the public one (RFC 7518 §6.3.2). */
export const PRIVATE_MEMBERS = ['d', 'p', 'q', 'dp', 'dq', 'qi'] as const;
export const RSA_MEMBERS = ['n', 'e', ...PRIVATE_MEMBERS] as const;
type RsaMember = (typeof RSA_MEMBERS)[number];
/** Each a Base64urlUInt (RFC 7518 §2). */
export type RsaMembers = Record<RsaMember, string>;

/** An RSA pair whose numbers have been checked. */
export interface PrivateKey {
  /** DER. */
  pkcs8: Uint8Array;
  /** SPKI PEM. */
  publicKey: string;
  bits: number;
  /** RFC 7638, SHA-256. */
  thumbprint: string;
}

/** A private key as a file has it: its material, checked, and what the file says of it. */
export interface KeyInFile extends PrivateKey {
  /** Its name in a message: `The key in key.pem`, `Key 2 of the set (kid k2) in jwks.json`. */
  what: string;
  /** As the file has it, which need not be a kid that a key of ours can have. */
  kid: string | null;
  alg: SigningAlgorithm | null;
}

/** The longest file that is read: far above a set of a hundred keys, far below what costs memory. */
export const MAX_KEY_FILE_BYTES = 1_000_000;

const MIN_BITS = 2048;
const MAX_BITS = 8192;
const MIN_EXPONENT = 65_537n;
// With a longer one and a modulus of more than 3072 bits, OpenSSL refuses to verify.
const MAX_EXPONENT = 2n ** 64n;

/**
 * Makes a pair of these numbers, if they are one. OpenSSL takes any: a key whose halves do not belong together would
 * sign tokens that nobody can verify, and with a wrong `dp`, `dq` or `qi` one signature gives the primes away.
 *
 * @param what the key's name in a message: `The key in key.pem`
 * @throws JwtctlError (usage) `ERR_KEY_SIZE`, `ERR_KEY_EXPONENT`, `ERR_KEY_MULTI_PRIME`, `ERR_KEY_INCONSISTENT`;
 * `ERR_KEY_WEAK_PRIMES` for primes that can be found from the public key: not each half the modulus's length, rounded down; not
 * more than 2^(half - 100) apart (FIPS 186-5 A.1.3); or with the ROCA fingerprint. Other weaknesses are not detected.
 */
export async function checkPrivateKey(members: RsaMembers, what: string): Promise<PrivateKey> {
  const numbers = toNumbers(members);
  const bits = numbers.n.toString(2).length;
  assertSize(bits, what);
  assertExponent(numbers.e, what);
  assertTwoPrimes(numbers, what);
  if (!belongTogether(numbers)) throw inconsistent(what);
  // Before the primality, which takes long for a prime that is far too long.
  assertHiddenPrimes(numbers, bits, what);
  if (!(await arePrime(numbers))) throw inconsistent(what);
  // From the numbers and not from the file: leading zeros and signs of an encoding do not get any further.
  const jwk = { kty: 'RSA', ...toMembers(numbers) };
  const privateKey = createPrivateKey({ key: jwk, format: 'jwk' });
  // Here, so that the help of a command loads nothing of it.
  const { calculateJwkThumbprint } = await import('jose');
  return {
    pkcs8: privateKey.export({ type: 'pkcs8', format: 'der' }),
    publicKey: createPublicKey(privateKey).export({ type: 'spki', format: 'pem' }).toString(),
    bits,
    thumbprint: await calculateJwkThumbprint({ kty: 'RSA', n: jwk.n, e: jwk.e }, 'sha256'),
  };
}

/** RFC 7518 §3.3 and §3.5 ask for 2048 bits at least; above 8192 one signature takes seconds. */
function assertSize(bits: number, what: string): void {
  if (bits >= MIN_BITS && bits <= MAX_BITS) return;
  throw keyRefused('ERR_KEY_SIZE', `${what} has ${bits} bits; expected ${MIN_BITS} to ${MAX_BITS}.`);
}

function assertExponent(e: bigint, what: string): void {
  if (e >= MIN_EXPONENT && e < MAX_EXPONENT && e % 2n === 1n) return;
  throw keyRefused(
    'ERR_KEY_EXPONENT',
    `${what} has a public exponent that is not used here; expected an odd number from ${MIN_EXPONENT} to 2^64.`,
  );
}

/** A file with more primes tells of the first two only by its number `n`, which they do not make up. */
function assertTwoPrimes({ n, p, q }: RsaNumbers, what: string): void {
  const product = p > 1n && q > 1n && p < n && q < n ? p * q : 0n;
  if (product === 0n || product >= n || n % product !== 0n) return;
  throw withMorePrimes(what);
}

/** A short prime is found by the elliptic curve method, and two close ones by Fermat's. */
function assertHiddenPrimes({ n, p, q }: RsaNumbers, bits: number, what: string): void {
  if (hasRocaFingerprint(n)) {
    throw keyRefused(
      'ERR_KEY_WEAK_PRIMES',
      `${what} has weak primes from the faulty generator of CVE-2017-15361 (ROCA), so its private key can be computed from its public key.`,
      'Do not use this key anywhere. Generate a new one with OpenSSL, Node, or `jwtctl keys generate`.',
    );
  }
  const half = Math.floor(bits / 2);
  const [shorter, longer] = p < q ? [p, q] : [q, p];
  const isShort = shorter.toString(2).length < half;
  if (!isShort && longer - shorter > 2n ** BigInt(half - 100)) return;
  const fault = isShort ? 'one of them is too short' : 'they are too close to each other';
  throw keyRefused(
    'ERR_KEY_WEAK_PRIMES',
    `${what} has weak primes: ${fault} (FIPS 186-5 A.1.3), so that its private key may be found from the public one.`,
    'Do not use this key anywhere. Generate a new one with OpenSSL, Node, or `jwtctl keys generate`.',
  );
}

function inconsistent(what: string): JwtctlError {
  return keyRefused(
    'ERR_KEY_INCONSISTENT',
    `${what} is no RSA pair: its numbers do not belong together.`,
    'It is damaged, or was put together from two keys. Take it from where it was made.',
  );
}

export function notRsa(what: string, kind: string): JwtctlError {
  return keyRefused('ERR_KEY_NOT_RSA', `${what} is of type ${kind}; tokens are signed with RSA keys here.`);
}

export function withMorePrimes(what: string): JwtctlError {
  return keyRefused(
    'ERR_KEY_MULTI_PRIME',
    `${what} has more than two primes; only pairs of two are used here.`,
  );
}

type RsaNumbers = Record<RsaMember, bigint>;

/** RFC 8017 §3.2. Each number is bounded before it is multiplied, so that none can make this slow. */
function belongTogether({ n, e, d, p, q, dp, dq, qi }: RsaNumbers): boolean {
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

function leastCommonMultiple(a: bigint, b: bigint): bigint {
  let [divisor, rest] = [a, b];
  while (rest !== 0n) [divisor, rest] = [rest, divisor % rest];
  return (a / divisor) * b;
}

function toNumbers(members: RsaMembers): RsaNumbers {
  return mapMembers(members, (text) => BigInt(`0x0${Buffer.from(text, 'base64url').toString('hex')}`));
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

/** A file can be given again when it is another one: a usage error. It never tells of what a member or a block holds. */
export function keyRefused(code: ErrorCode, message: string, hint?: string): JwtctlError {
  return new JwtctlError(code, message, { hint });
}
