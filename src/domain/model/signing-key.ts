import { JwtctlError } from '../shared/errors.js';

/** The supported signature algorithms (RFC 7518 §3.1). All use an RSA key pair. */
export const SIGNING_ALGORITHMS = ['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512'] as const;
export type SigningAlgorithm = (typeof SIGNING_ALGORITHMS)[number];

export function isSigningAlgorithm(value: unknown): value is SigningAlgorithm {
  return SIGNING_ALGORITHMS.some((alg) => alg === value);
}

/**
 * - `pending`: published in the JWK Set, does not sign yet
 * - `active`: signs; a database constraint allows only one
 * - `retiring`: verifies until the last token that it may have signed has expired; also the state of a key that is
 *   {@link isVerifyOnly}
 * - `retired`: does not verify; the public key stays in the record, the private key is wiped
 * - `compromised`: refused at once, even for earlier signatures
 */
export const KEY_STATES = ['pending', 'active', 'retiring', 'retired', 'compromised'] as const;
export type KeyState = (typeof KEY_STATES)[number];

export function isKeyState(value: unknown): value is KeyState {
  return KEY_STATES.some((state) => state === value);
}

/** A row of the key store without its private key. Times are NumericDate seconds. */
export interface SigningKey {
  /** Derived from the public key. Registry entries use it instead of the longer `kid`. */
  id: number;
  kid: string;
  alg: SigningAlgorithm;
  bits: number;
  state: KeyState;
  /** SPKI PEM. */
  publicKey: string;
  /** The id of the master key that seals the private key; null if the row has no private key. */
  masterKeyId: string | null;
  /** The longest lifetime of a token under this key, in seconds; null before the key signs. */
  maxTtlSeconds: number | null;
  createdAt: number;
  activatedAt: number | null;
  retiringAt: number | null;
  /** No token under this key is valid from this time on; null before the key retires, or for a key without an end. */
  verifyUntil: number | null;
  retiredAt: number | null;
  compromisedAt: number | null;
}

/** Returns whether tokens under such a key are accepted. The JWK Set contains exactly these keys. */
export function isTrusted(state: KeyState): boolean {
  return state === 'pending' || state === 'active' || state === 'retiring';
}

/** Returns whether the key was imported to verify. It has no private key and never signed here. */
export function isVerifyOnly(key: Pick<SigningKey, 'state' | 'activatedAt'>): boolean {
  return key.state === 'retiring' && key.activatedAt === null;
}

/** Returns the state as messages and tables name it. */
export function stateName(
  key: Pick<SigningKey, 'state' | 'activatedAt'> | { state: KeyState; verifyOnly: boolean },
): string {
  return ('verifyOnly' in key ? key.verifyOnly : isVerifyOnly(key)) ? 'verify-only' : key.state;
}

/** @param column the column that holds something else than jwtctl writes */
export function invalidKeyRow(kid: string, column: 'alg' | 'public_key' | 'state'): JwtctlError {
  return new JwtctlError(
    'ERR_KEY_ROW_INVALID',
    `The column ${column} of key ${kid} in the table keystore holds a value that jwtctl does not write.`,
    { details: { kid, column } },
  );
}
