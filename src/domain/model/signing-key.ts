import { JwtctlError } from '../shared/errors.js';

/** The signature algorithms (RFC 7518 §3.1) that a key of ours can be made for; all of them use an RSA key pair. */
export const SIGNING_ALGORITHMS = ['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512'] as const;
export type SigningAlgorithm = (typeof SIGNING_ALGORITHMS)[number];

export function isSigningAlgorithm(value: unknown): value is SigningAlgorithm {
  return SIGNING_ALGORITHMS.some((alg) => alg === value);
}

/**
 * - `pending`: published in the JWK Set, does not sign yet
 * - `active`: signs; the database holds that there is one at most
 * - `retiring`: verifies until the last token that it can have signed has expired
 * - `retired`: verifies nothing; the public key is kept for the record, the private key is wiped
 * - `compromised`: refused at once, whatever it signed
 */
export const KEY_STATES = ['pending', 'active', 'retiring', 'retired', 'compromised'] as const;
export type KeyState = (typeof KEY_STATES)[number];

export function isKeyState(value: unknown): value is KeyState {
  return KEY_STATES.some((state) => state === value);
}

/** A row of the key store without its private key. Times are NumericDate seconds. */
export interface SigningKey {
  /** Computed from the public key (`keyId`). Registry entries use it instead of the `kid` to save space. */
  id: number;
  kid: string;
  alg: SigningAlgorithm;
  bits: number;
  state: KeyState;
  /** SPKI PEM. */
  publicKey: string;
  /** The id of the master key that seals the private key; null once that half is wiped. */
  masterKeyId: string | null;
  /** The longest lifetime that a token under this key can have been given, in seconds; null before the key signs. */
  maxTtlSeconds: number | null;
  createdAt: number;
  activatedAt: number | null;
  retiringAt: number | null;
  /** From this moment no token under this key can be valid; null before the key retires. */
  verifyUntil: number | null;
  retiredAt: number | null;
  compromisedAt: number | null;
}

/** Whether tokens under a key in this state can be accepted, which is also whether the JWK Set publishes it. */
export function isTrusted(state: KeyState): boolean {
  return state === 'pending' || state === 'active' || state === 'retiring';
}

/** @param column the column that holds something else than jwtctl writes */
export function invalidKeyRow(kid: string, column: 'alg' | 'public_key' | 'state'): JwtctlError {
  return new JwtctlError(
    'ERR_KEY_ROW_INVALID',
    `The column ${column} of key ${kid} in the table keystore holds a value that jwtctl does not write.`,
    {
      hint: 'Another program changed the row. Restore the column from a backup of the database, and find out who changed it.',
      details: { kid, column },
    },
  );
}
