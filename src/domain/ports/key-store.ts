import type { KeyState, SigningAlgorithm, SigningKey } from '../model/signing-key.js';
import type { JwtctlError } from '../shared/errors.js';
import type { DatabaseHeads } from './mark-store.js';
import type { SealedPrivateKey } from './sealer.js';

export interface KeyStore {
  /**
   * Returns every key, oldest first, with the revision that {@link apply} needs.
   * @param onInvalid leaves out rows that another program broke and gets the error of each
   * @throws JwtctlError `ERR_KEY_ROW_INVALID` (state) without `onInvalid`
   */
  snapshot(onInvalid?: (error: JwtctlError) => void): Promise<KeySnapshot>;
  /** Returns the longest lifetimes that any host uses. */
  longestLifetimes(): Promise<LongestLifetimes>;
  find(kid: string): Promise<SigningKey | null>;
  /** Returns the sealed private key; null if there is none, or it was wiped. */
  findSealed(kid: string): Promise<string | null>;
  /** Adds a key. Any outcome other than `inserted` adds nothing and leaves the transaction usable. */
  insert(key: NewSigningKey): Promise<'inserted' | 'kid_exists' | 'id_exists' | 'active_exists'>;
  /** Applies the transitions in order; returns false if a key was added or changed since `revision`. */
  apply(revision: number, transitions: readonly KeyTransition[]): Promise<boolean>;
  /**
   * Records that tokens with a lifetime of up to `seconds` exist under this key; returns false if the key is neither
   * active nor verify-only. Changes the revision, so an {@link apply} planned with the shorter lifetime fails.
   */
  raiseMaxTtl(kid: string, seconds: number): Promise<boolean>;
  /** Records that refresh tokens with a lifetime of up to `seconds` may exist. A shorter one changes nothing. */
  raiseRefreshTtl(seconds: number): Promise<void>;
  /** Waits for a running {@link apply}. One that was planned before fails. */
  raiseRevision(): Promise<void>;
  /** Replaces the JWE `sealed`; returns false if the key has another one by now. */
  reseal(kid: string, sealed: string, by: SealedPrivateKey): Promise<boolean>;
  /** Marks the contents of the database as authoritative; false if the last recovery was not at `since`. */
  recover(settled: { since: number; revision: number; recoveredAt: number }): Promise<boolean>;
  /** Removes the row of a retired key; returns false if there is no such row, or it is not retired. */
  removeRetired(kid: string): Promise<boolean>;
}

export interface LongestLifetimes {
  /** Of tokens under any key, even one whose row is broken; null if none is known. */
  tokenSeconds: number | null;
  /** Of refresh tokens; 0 if there has been none. */
  refreshTokenSeconds: number;
}

export interface KeySnapshot extends Pick<DatabaseHeads, 'revision' | 'recoveredAt'> {
  keys: SigningKey[];
}

export interface NewSigningKey {
  id: number;
  kid: string;
  alg: SigningAlgorithm;
  bits: number;
  /** `retiring` for a verify-only key, which has no private key. */
  state: Extract<KeyState, 'pending' | 'active' | 'retiring'>;
  /** SPKI PEM. */
  publicKey: string;
  sealedPrivateKey: string | null;
  masterKeyId: string | null;
  maxTtlSeconds: number | null;
  createdAt: number;
  activatedAt: number | null;
  verifyUntil?: number | null;
}

/** A change of a key's state. `retired` and `compromised` wipe the private key. */
export type KeyTransition =
  | { kid: string; from: 'active'; to: 'retiring'; at: number; verifyUntil: number }
  | { kid: string; from: 'pending'; to: 'active'; at: number; maxTtlSeconds: number }
  /** Lets a verify-only key sign. */
  | { kid: string; from: 'retiring'; to: 'pending'; at: number; by: SealedPrivateKey }
  | { kid: string; from: 'pending' | 'retiring'; to: 'retired'; at: number }
  | { kid: string; from: Exclude<KeyState, 'compromised'>; to: 'compromised'; at: number };
