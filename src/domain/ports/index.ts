import type { KeyState, SigningAlgorithm, SigningKey } from '../model/signing-key.js';
import type { User, UserStatus } from '../model/user.js';
import type { AuditHead } from './audit-log.js';
import type { DatabaseHeads } from './mark-store.js';
import type { TokenRegistry } from './token-registry.js';

/**
 * What the rules need from the world. Each port is held by one contract suite in `test/contract`, which every adapter
 * passes against its real engine.
 *
 * Times are NumericDate seconds (RFC 7519 §2). A store that cannot answer rejects with a JwtctlError of kind
 * `unavailable`; no method answers from a guess.
 */

export type * from '../model/registry-entry.js';
export type { User, UserStatus } from '../model/user.js';
export type * from './entry-store.js';
export type * from './registry-scanner.js';
export type * from './token-registry.js';
export type * from './token-status.js';
export type * from './verifier-roster.js';

export interface Clock {
  /** NumericDate seconds, whole. */
  now(): number;
  /** Resolves once {@link now} has reached `time`; rejects with an AbortError once `signal` is aborted. */
  until(time: number, signal?: AbortSignal): Promise<void>;
  /** Resolves after so many milliseconds; rejects as {@link until} does. */
  pause(milliseconds: number, signal?: AbortSignal): Promise<void>;
}

// ---- the durable stores (MySQL, MariaDB, SQLite) ----

/** The stores of one database, as one transaction or one connection sees them. */
export interface Stores {
  readonly keys: KeyStore;
  readonly users: UserStore;
  readonly securityLog: SecurityLog;
  readonly auditLog: AuditLog;
  /** How far the database has come. */
  heads(): Promise<DatabaseHeads>;
}

export interface Database extends Stores {
  /**
   * Runs `work` in one transaction: all of it is kept, or none. What a concurrent engine throws is retried a few times,
   * so `work` may run more than once and does nothing but use the stores that it is given.
   */
  transaction<T>(work: (stores: Stores) => Promise<T>): Promise<T>;
  /** Returns the server that answers now; null for a file. */
  server(): Promise<DatabaseServer | null>;
  /** Stops using the open connections: after a switchover, they stay with the old primary. */
  redial(): void;
}

export interface DatabaseServer {
  /** Identifies the server. */
  id: string;
  isReadOnly: boolean;
}

export interface KeyStore {
  /** Every key, oldest first, with the revision that a guarded {@link apply} has to name. */
  snapshot(): Promise<KeySnapshot>;
  find(kid: string): Promise<SigningKey | null>;
  /** The sealed private key (a JWE in Compact Serialization), or null where there is none (any more). */
  findSealed(kid: string): Promise<string | null>;
  /** Adds a key. Any outcome other than `inserted` adds nothing and leaves the transaction usable. */
  insert(key: NewSigningKey): Promise<'inserted' | 'kid_exists' | 'id_exists' | 'active_exists'>;
  /**
   * Applies transitions in their order, if no key has been added or changed since `revision` was read; else changes
   * nothing and returns false. A transition whose key is not in the state that it starts from is a defect.
   */
  apply(revision: number, transitions: readonly KeyTransition[]): Promise<boolean>;
  /**
   * Notes that tokens of up to `seconds` are signed under this key from now on; false where it is no longer active. That
   * changes the key: in a transaction, no {@link apply} that was planned with the shorter lifetime passes afterwards.
   */
  raiseMaxTtl(kid: string, seconds: number): Promise<boolean>;
  /** Puts another JWE in the place of `sealed`; false, and nothing changed, where that is no longer there. */
  reseal(kid: string, sealed: string, by: SealedPrivateKey): Promise<boolean>;
  /**
   * Records that the current contents of the database are authoritative: see {@link DatabaseHeads}. Returns false, and changes
   * nothing, if the last recovery was not at `since`.
   */
  recover(settled: { since: number; revision: number; recoveredAt: number }): Promise<boolean>;
  /** Removes the row of a retired key; false where there is none, or it is in another state. */
  removeRetired(kid: string): Promise<boolean>;
}

export interface KeySnapshot {
  revision: number;
  /** See {@link DatabaseHeads.recoveredAt}. */
  recoveredAt: number;
  keys: SigningKey[];
}

export interface NewSigningKey {
  id: number;
  kid: string;
  alg: SigningAlgorithm;
  bits: number;
  state: Extract<KeyState, 'pending' | 'active'>;
  /** SPKI PEM. */
  publicKey: string;
  /** JWE in Compact Serialization. */
  sealedPrivateKey: string;
  masterKeyId: string;
  maxTtlSeconds: number | null;
  createdAt: number;
  activatedAt: number | null;
}

/** One step of a key's life, with what the store has to note of it. The last two wipe the private key. */
export type KeyTransition =
  | { kid: string; from: 'active'; to: 'retiring'; at: number; verifyUntil: number }
  | { kid: string; from: 'pending'; to: 'active'; at: number; maxTtlSeconds: number }
  | { kid: string; from: 'pending' | 'retiring'; to: 'retired'; at: number }
  | { kid: string; from: Exclude<KeyState, 'compromised'>; to: 'compromised'; at: number };

/** Who exists, wherever that is kept (`users.source`). */
export interface UserDirectory {
  find(sub: string): Promise<User | null>;
  /** The users of these subjects, however many, in a few queries at most. Who does not exist is not in the map. */
  findMany(subs: readonly string[]): Promise<Map<string, User>>;
  /** Page by page, in an order of the source's own. */
  list(): AsyncIterable<User>;
}

/** The users that jwtctl keeps itself (`users.source: managed`). */
export interface UserStore extends UserDirectory {
  /** In the order of the subjects' bytes. */
  list(): AsyncIterable<User>;
  /** Adds an enabled user with version 1. Null where the subject exists already. */
  add(user: { sub: string; name: string | null; at: number }): Promise<User | null>;
  /** Adds them all as {@link add} does; false, and none is added, where one of them exists already. */
  addMany(users: ReadonlyArray<{ sub: string; name: string | null }>, at: number): Promise<boolean>;
  setVersion(subs: readonly string[], version: number): Promise<void>;
  /** Null where there is no such user. The version grows by one if the status is another one than before. */
  setStatus(sub: string, status: UserStatus, at: number): Promise<{ user: User; changed: boolean } | null>;
  /** The user as it was, or null where there was none. */
  remove(sub: string): Promise<User | null>;
}

/**
 * What took standing away, durably. It is written before the registry is touched and kept until the last token that it
 * can cover has expired, so that nothing which a cache forgets brings a token back.
 */
export interface SecurityLog {
  /**
   * Appends an event and returns its id. The event expires at `expiresAt` or later. By the database's clock, it lives for at
   * least `expiresAt - at`, because the host's clock may be behind.
   */
  append(event: NewSecurityEvent): Promise<number>;
  /**
   * Removes up to `limit` events that expired at least a week ago by the database's clock, oldest first, and returns how
   * many. Revoking does not call this, so an account without the right to delete can still revoke.
   */
  clearExpired(limit: number): Promise<number>;
  /**
   * The events that may concern a token of `sub` under `kid`, oldest first. Of the events of single tokens those of
   * `jti` alone; with null, for a token that is yet to be made, none of them.
   */
  findConcerning(token: { sub: string; kid: string; jti: string | null }): Promise<SecurityEvent[]>;
  /**
   * The events that name one of these tokens or its subject, oldest first. Of the events of single tokens, of which a
   * subject may have very many, those of exactly these tokens alone; with null, as in {@link findConcerning}, none.
   */
  findNaming(tokens: ReadonlyArray<{ sub: string; jti: string | null }>): Promise<SecurityEvent[]>;
  /** The events that name no subject, oldest first: `kid_revoked`, `all_revoked`, `key_compromised`. */
  findGlobal(): Promise<SecurityEvent[]>;
  /** Up to `limit` events with an id above `afterId`, in the order of their ids; a transaction may add one below those that are there. */
  listAfter(afterId: number, limit: number): Promise<SecurityEvent[]>;
  /** The highest user version that an event of each of these subjects names. A subject without one is not in the map. */
  highestUserVersions(subs: readonly string[]): Promise<Map<string, number>>;
}

export type SecurityEventType =
  /** One token: `sub` and `jti`. */
  | 'token_revoked'
  /** All tokens of `sub` with `iat <= issuedBefore`. */
  | 'subject_revoked'
  /** All tokens under `kid` with `iat <= issuedBefore`. */
  | 'kid_revoked'
  /** Every token with `iat <= issuedBefore`. */
  | 'all_revoked'
  /** Every token under `kid`, whatever its `iat` says: who has the private key can say anything. */
  | 'key_compromised'
  /** `sub` changed to this status with `userVersion`. */
  | 'user_disabled'
  | 'user_enabled'
  /** `sub` was removed with `userVersion`. A `subject_revoked` goes with it. */
  | 'user_removed';

export interface NewSecurityEvent {
  type: SecurityEventType;
  sub?: string;
  jti?: string;
  kid?: string;
  /** Inclusive. */
  issuedBefore?: number;
  userVersion?: number;
  reason: string | null;
  at: number;
  /** From then on no token can exist that this event covers. */
  expiresAt: number;
}

export interface SecurityEvent {
  id: number;
  type: SecurityEventType;
  sub: string | null;
  jti: string | null;
  kid: string | null;
  issuedBefore: number | null;
  userVersion: number | null;
  reason: string | null;
  at: number;
  expiresAt: number;
}

/** One row per command that changed something, each with the hash of the row before it. */
export interface AuditLog {
  append(entry: AuditEntry): Promise<void>;
  /** Returns the hash of one row; null if there is no such row. */
  hashAt(seq: number): Promise<string | null>;
  /** The end of the chain. */
  head(): Promise<AuditHead>;
  /** Every row, oldest first. */
  rows(): AsyncIterable<AuditRow>;
}

export interface AuditEntry {
  at: number;
  /** The name given with `--actor`. Not verified. */
  actor: string;
  /** The command: `keys.generate`, `users.disable` … */
  action: string;
  /** What it was done to: a kid, a subject, a prefix. */
  target: string;
  /** `done`, or a word for what else came of it. */
  outcome: string;
  reason: string | null;
}

export interface AuditRow extends AuditEntry {
  seq: number;
  /** The account and host that ran the command, according to the operating system. */
  login: string;
  /** The id of the master key whose {@link MacKey} made `hash`; null if `hash` is a plain SHA-256. */
  macKeyId: string | null;
  /** The hash of the previous row. */
  previousHash: string;
  hash: string;
}

/** A key that authenticates stored data, derived from a master key. */
export interface MacKey {
  /** The id of the master key. */
  id: string;
  secret: Uint8Array;
}

// ---- private keys ----

/** Seals private keys under the master keyring. */
export interface Sealer {
  seal(kid: string, pkcs8: Uint8Array): Promise<SealedPrivateKey>;
  /**
   * @throws JwtctlError `ERR_MASTER_KEY_UNKNOWN` (state) where the keyring lacks the master key that the JWE names,
   * `ERR_DECRYPTION_FAILED` (state) where the JWE does not open or was sealed for another kid
   */
  open(kid: string, sealed: string): Promise<Uint8Array>;
  /** The id of the master key that seals. */
  sealingKeyId(): Promise<string>;
  /** The id of the master key that a JWE names. @throws JwtctlError `ERR_DECRYPTION_FAILED` (state) where it is not a JWE */
  openingKeyId(kid: string, sealed: string): string;
}

export interface SealedPrivateKey {
  /** JWE in Compact Serialization. */
  sealed: string;
  /** The id of the master key that opens it. */
  masterKeyId: string;
}

/** Seals, under the same keyring, the key that the content of one file is encrypted with. It opens for that file alone. */
export interface ContentKeySealer {
  /**
   * @param file what tells the file from all others
   * @returns JWE in Compact Serialization
   */
  sealContentKey(file: string, contentKey: Uint8Array): Promise<string>;
  /** @throws JwtctlError `ERR_MASTER_KEY_UNKNOWN`, `ERR_DECRYPTION_FAILED` (state), as {@link Sealer.open} does */
  openContentKey(file: string, sealed: string): Promise<Uint8Array>;
}

export interface KeyPairGenerator {
  generate(bits: number): Promise<{ publicKey: string; pkcs8: Uint8Array; thumbprint: string }>;
}

/** A file that only its owner may read, which is not there yet. */
export interface PrivateFile {
  /** Absolute. */
  readonly path: string;
  /** @throws JwtctlError `ERR_FILE_EXISTS` (usage) where there is something of that name */
  assertFree(): Promise<void>;
  /** Makes it, empty. @throws JwtctlError (usage) `ERR_FILE_EXISTS`, `ERR_FILE_UNWRITABLE` */
  create(): Promise<void>;
  /** Adds this at its end. It is on the disk when this resolves. @throws JwtctlError `ERR_FILE_UNWRITABLE` (usage) */
  append(text: string): Promise<void>;
  close(): Promise<void>;
  /** Closes and removes it. */
  discard(): Promise<void>;
}

/** Asks the user at a terminal. Ctrl-C, Ctrl-D, and an aborted `signal` end a question without an answer. */
export interface Prompt {
  /** @returns false for a no or if the question was ended */
  confirm(message: string, signal: AbortSignal): Promise<boolean>;
  /** @returns the typed text, or null if the question was ended */
  typeBack(message: string, signal: AbortSignal): Promise<string | null>;
  /** Does not show the typed text. @returns that text, or null if the question was ended */
  password(message: string, signal: AbortSignal): Promise<string | null>;
}

/** What everything works with that ends tokens: the durable stores, the registry, the time, and who is at it. */
export interface Administration {
  database: Database;
  registry: TokenRegistry;
  clock: Clock;
  /** For the audit log. */
  actor: string;
}
