import { describeValue } from '../domain/shared/describe-value.js';
import { JwtctlError } from '../domain/shared/errors.js';
import type { ClaimsPolicy } from '../domain/verification/check-claims.js';
import type { TokenStatus } from '../domain/verification/check-status.js';
import { ACCEPTED_TYPES } from '../domain/verification/token-type.js';
import {
  type VerificationPorts,
  type VerificationResult,
  type VerifiedToken,
  verifyToken,
} from '../domain/verification/verify.js';

export interface Verifier {
  /** The clock of the checks, and its tolerance. The middlewares use it for the `maxAge` of a policy. */
  readonly clock: VerifierClock;

  /**
   * Performs the four checks: the JWS, the Claims Set, the registry, the user. Returns a refusal as a result.
   *
   * @param token a JWS in Compact Serialization
   * @throws JwtctlError kind `unavailable` if a store does not answer. Then no token is accepted.
   */
  verify(token: string): Promise<VerificationResult>;
}

export interface VerifierClock {
  /** Returns NumericDate seconds. */
  now(): number;
  readonly toleranceSeconds: number;
}

export interface VerifierOptions {
  /**
   * Returns the key with this `kid`, or null. The `kid` is not verified yet: 1 to 255 bytes without control
   * characters.
   *
   * A key verifies in the states `pending`, `active`, and `retiring`. It must be an RSA key of 2048 to 16,384
   * bits with an odd exponent from 65537 to 2^64, without the ROCA fingerprint (CVE-2017-15361). In its JWK,
   * `kid`, `alg`, `use`, and `key_ops` are optional, but must not contradict the key. Tokens under any other
   * key are refused with `ERR_KEY_NOT_TRUSTED`.
   */
  findKey: VerificationPorts['findKey'];
  /**
   * Returns the status of a token with a valid signature and claims. The token is accepted if `entry` matches
   * it, `user` is `'enabled'`, and `revoked` is `false`. Any other value refuses it.
   */
  findStatus(token: VerifiedToken): Promise<TokenStatus> | TokenStatus;
  /**
   * `clockToleranceSeconds`: an integer from 0 to 86,400; default: 5. `acceptTypes`: the accepted `typ` headers; default:
   * `JWT` and `at+jwt`. A token without `typ` is accepted.
   */
  policy: Omit<ClaimsPolicy, 'clockToleranceSeconds'> & { clockToleranceSeconds?: number | undefined };
  /** Returns NumericDate seconds, an integer; default: the clock of the host. */
  now?: (() => number) | undefined;
}

const DEFAULT_TOLERANCE_SECONDS = 5;
const MAX_TOLERANCE_SECONDS = 86_400;

/**
 * Creates a verifier that uses your own stores. Errors from a callback pass through unchanged.
 *
 * @throws JwtctlError `ERR_OPTION_INVALID` (usage) for invalid options. `verify` rejects with
 * `ERR_CALLBACK_INVALID` (usage) if `now` or `findStatus` returns an invalid value.
 */
export function createVerifier(options: VerifierOptions): Verifier {
  const { findKey, findStatus, policy, now = systemNow } = objectOf(options, 'the options');
  for (const [name, callback] of Object.entries({ findKey, findStatus, now }))
    if (typeof callback !== 'function') throw invalidOption(name, callback, 'a function');
  const {
    issuer,
    audience,
    acceptTypes = ACCEPTED_TYPES,
    clockToleranceSeconds = DEFAULT_TOLERANCE_SECONDS,
  } = objectOf(policy, 'policy');
  for (const [name, text] of Object.entries({ issuer, audience }))
    if (typeof text !== 'string' || text === '')
      throw invalidOption(`policy.${name}`, text, 'a string that is not empty');
  if (!isIntegerUpTo(MAX_TOLERANCE_SECONDS, clockToleranceSeconds))
    throw invalidOption(
      'policy.clockToleranceSeconds',
      clockToleranceSeconds,
      `an integer from 0 to ${MAX_TOLERANCE_SECONDS} (seconds)`,
    );
  if (!isTextList(acceptTypes))
    throw invalidOption('policy.acceptTypes', acceptTypes, 'an array of strings that are not empty');
  const ports: VerificationPorts = {
    findKey: async (kid) => keyOf(await findKey.call(options, kid)),
    findStatus: async ({ issuedAt: _, ...token }) => statusOf(await findStatus.call(options, token)),
    // A copy, because later changes to the caller's object would not be checked.
    policy: { issuer, audience, clockToleranceSeconds, acceptTypes: [...acceptTypes] },
    now: () => timeOf(now.call(options)),
  };
  return {
    clock: { now: ports.now, toleranceSeconds: clockToleranceSeconds },
    verify: (token) => verifyToken(token, ports),
  };
}

function systemNow(): number {
  return Math.floor(Date.now() / 1000);
}

function timeOf(value: unknown): number {
  if (isIntegerUpTo(Number.MAX_SAFE_INTEGER, value)) return value;
  throw invalidCallback('now', value, 'NumericDate seconds, an integer');
}

type FoundKey = Awaited<ReturnType<VerificationPorts['findKey']>>;

function keyOf(value: FoundKey): FoundKey {
  if (!isObject(value)) return value;
  const key = copyOf(value, ['kid', 'alg', 'state', 'jwk']);
  const { jwk } = key;
  return isObject(jwk) ? { ...key, jwk: copyOf(jwk, JWK_MEMBERS) } : key;
}

const JWK_MEMBERS = ['kty', 'n', 'e', 'kid', 'use', 'alg', 'key_ops'] as const;

function statusOf(value: unknown): TokenStatus {
  if (isObject(value)) {
    const status = copyOf(value as TokenStatus, ['entry', 'user', 'revoked']);
    const { entry } = status;
    return isObject(entry) ? { ...status, entry: copyOf(entry, ['kid', 'iat', 'exp']) } : status;
  }
  throw invalidCallback('findStatus', value, 'an object with entry, user, and revoked');
}

/** Ignores members of Object.prototype: after a prototype pollution, an attacker has chosen them. */
function copyOf<T extends object, Name extends keyof T & string>(value: T, names: readonly Name[]) {
  return Object.fromEntries(
    names.map((name) => [name, isOwnOrOfClass(value, name) ? value[name] : undefined]),
  ) as Pick<T, Name>;
}

function isOwnOrOfClass(value: object, name: string): boolean {
  for (let holder = value; holder !== null && holder !== Object.prototype; ) {
    if (Object.hasOwn(holder, name)) return true;
    holder = Object.getPrototypeOf(holder);
  }
  return false;
}

function isObject<T>(value: T): value is T & object {
  return typeof value === 'object' && value !== null;
}

function isTextList(value: unknown): value is string[] {
  return (
    Array.isArray(value) && value.length > 0 && value.every((item) => typeof item === 'string' && item !== '')
  );
}

function isIntegerUpTo(max: number, value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0 && (value as number) <= max;
}

function objectOf<T extends object>(value: T, name: string): T {
  if (isObject(value)) return value;
  throw invalidOption(name, value, 'an object');
}

function invalidOption(name: string, value: unknown, expected: string): JwtctlError {
  const problem = `createVerifier cannot use ${name}: it is ${describeValue(value)}; expected ${expected}`;
  return new JwtctlError('ERR_OPTION_INVALID', `${problem}.`);
}

function invalidCallback(name: string, value: unknown, expected: string): JwtctlError {
  const found = value === undefined ? 'undefined' : describeValue(value);
  const message = `The callback ${name} of createVerifier returned ${found}; expected ${expected}.`;
  return new JwtctlError('ERR_CALLBACK_INVALID', message);
}
