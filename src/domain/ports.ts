/**
 * What the rules need from the world. Each port is held by one contract suite in `test/contract`, which every adapter
 * passes against its real engine.
 *
 * Times are NumericDate seconds (RFC 7519 §2). A store that cannot answer rejects with a JwtctlError of kind
 * `unavailable`; no method answers from a guess.
 */
import type { KeyState, SigningAlgorithm, SigningKey } from './signing-key.js';

export interface Clock {
  /** NumericDate seconds, whole. */
  now(): number;
  /** Resolves once {@link now} has reached `time`. */
  until(time: number): Promise<void>;
}

// ---- the durable stores (MySQL, MariaDB, SQLite) ----

/** The stores of one database, as one transaction or one connection sees them. */
export interface Stores {
  readonly keys: KeyStore;
  readonly users: UserStore;
  readonly securityLog: SecurityLog;
  readonly auditLog: AuditLog;
}

export interface Database extends Stores {
  /**
   * Runs `work` in one transaction: all of it is kept, or none. What a concurrent engine throws is retried a few times,
   * so `work` may run more than once and does nothing but use the stores that it is given.
   */
  transaction<T>(work: (stores: Stores) => Promise<T>): Promise<T>;
}

export interface KeyStore {
  /** Every key, oldest first, with the revision that a guarded {@link apply} has to name. */
  snapshot(): Promise<KeySnapshot>;
  find(kid: string): Promise<SigningKey | null>;
  /** The sealed private half (a JWE in Compact Serialization), or null where there is none (any more). */
  findSealed(kid: string): Promise<string | null>;
  /** Adds a key. `kid_exists` and `active_exists` add nothing and leave the transaction usable. */
  insert(key: NewSigningKey): Promise<'inserted' | 'kid_exists' | 'active_exists'>;
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
}

export interface KeySnapshot {
  revision: number;
  keys: SigningKey[];
}

export interface NewSigningKey {
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

/** One step of a key's life, with what the store has to note of it. Retiring for good also wipes the private half. */
export type KeyTransition =
  | { kid: string; from: 'active'; to: 'retiring'; at: number; verifyUntil: number }
  | { kid: string; from: 'pending'; to: 'active'; at: number; maxTtlSeconds: number }
  | { kid: string; from: 'pending' | 'retiring'; to: 'retired'; at: number };

export type UserStatus = 'enabled' | 'disabled';

export interface User {
  sub: string;
  name: string | null;
  status: UserStatus;
  /** Grows with every change of the status, across a removal too; 0 where the source keeps none. */
  version: number;
  createdAt: number | null;
  updatedAt: number | null;
}

/** Who exists, wherever that is kept (`users.source`). */
export interface UserDirectory {
  find(sub: string): Promise<User | null>;
  /** Page by page, in an order of the source's own. */
  list(): AsyncIterable<User>;
}

/** The users that jwtctl keeps itself (`users.source: managed`). */
export interface UserStore extends UserDirectory {
  /** In the order of the subjects' bytes. */
  list(): AsyncIterable<User>;
  /** Adds an enabled user with version 1. Null where the subject exists already. */
  add(user: { sub: string; name: string | null; at: number }): Promise<User | null>;
  setVersion(sub: string, version: number): Promise<void>;
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
  /** Appends, and drops what has expired by `event.at`. Returns the event's id. */
  append(event: NewSecurityEvent): Promise<number>;
  /**
   * The events that may concern a token of `sub` under `kid`, oldest first. Of the events of single tokens those of
   * `jti` alone; with null, for a token that is yet to be made, none of them.
   */
  findConcerning(token: { sub: string; kid: string; jti: string | null }): Promise<SecurityEvent[]>;
  /** The highest user version that an event of this subject names; 0 where there is none. */
  highestUserVersion(sub: string): Promise<number>;
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
}

export interface AuditEntry {
  at: number;
  actor: string;
  /** The command: `keys.generate`, `users.disable` … */
  action: string;
  /** What it was done to: a kid, a subject, a prefix. */
  target: string;
  /** `done`, or a word for what else came of it. */
  outcome: string;
  reason: string | null;
}

// ---- the token registry (Redis Cluster, Redis, SQLite) ----

/** A live token as the registry knows it. */
export interface RegistryEntry {
  jti: string;
  /** {@link SigningKey.id} of the key that signed it. */
  keyId: number;
  iat: number;
  exp: number;
}

/** A user's status as the user directory gave it at some moment. */
export interface KnownUserStatus {
  status: UserStatus;
  version: number;
  /** Until then the status may be used without asking the directory again. */
  until: number;
}

/** Which entries are meant; what is absent restricts nothing. */
export interface EntryFilter {
  jti?: string;
  keyId?: number;
  /** Inclusive: entries with `iat <= issuedBefore`. */
  issuedBefore?: number;
}

/**
 * The tokens that are live. A token without its entry is refused.
 *
 * Everything expires by itself: an entry at its `exp` plus the clock tolerance, and what else is kept of a subject with
 * the last of its entries.
 */
export interface TokenRegistry {
  readonly backend: 'redis-cluster' | 'redis' | 'sqlite';
  /** What all names of this registry begin with; empty for SQLite. */
  readonly prefix: string;

  /**
   * Adds an entry, and lets go of the oldest ones (by `iat`) beyond `maxPerSubject`.
   * Registering the same entry again changes nothing.
   *
   * @returns the entries that made room
   */
  register(
    sub: string,
    entry: RegistryEntry,
    options: { now: number; user?: KnownUserStatus; label?: string; maxPerSubject?: number },
  ): Promise<RegistryEntry[]>;

  /**
   * One read, one command on Redis.
   *
   * @returns `exp` of the entry, null where it is not registered; `user` null where the status is not known (any more)
   */
  standing(
    sub: string,
    entry: { jti: string; keyId: number; iat: number },
    now: number,
  ): Promise<{ exp: number | null; user: UserStatus | null }>;

  /** The live entries of a subject, oldest first (`iat`, then `jti`). */
  list(sub: string, now: number): Promise<Array<RegistryEntry & { label: string | null }>>;

  /**
   * Notes a user's status beside their entries; a subject without entries needs none. A status with a version below the
   * one that is known changes nothing: an older read never overwrites a newer state. It waits for no replica: what takes
   * standing away is in the security log.
   */
  setUserStatus(sub: string, user: KnownUserStatus, now: number): Promise<void>;

  /** Removes the matching entries of one subject. Without entries nothing of the subject is left. */
  remove(sub: string, filter: EntryFilter, now: number): Promise<Removal>;

  /** Removes the matching entries of every subject. With `dryRun` it only counts. */
  removeEverywhere(
    filter: EntryFilter,
    options: { now: number; dryRun?: boolean; signal?: AbortSignal },
  ): Promise<WideRemoval>;

  /** Shows `visit` every subject that has live entries, each once, in no order. */
  survey(
    visit: (subject: SurveyedSubject) => void,
    options: { now: number; signal?: AbortSignal },
  ): Promise<SurveyOutcome>;

  /** The servers behind the registry, masters before their replicas. */
  nodes(): Promise<RegistryNode[]>;
}

export interface Removal {
  removed: number;
  /** How many replicas of the subject's master confirmed it; null where nothing was written. */
  replicasConfirmed: number | null;
}

export interface WideRemoval {
  /** Entries that match the filter. */
  matched: number;
  removed: number;
  subjects: number;
  /** The largest `iat` among the matching entries; null where there are none. */
  largestIat: number | null;
  byNode: Array<{ node: string; matched: number; removed: number }>;
  /** The least over the masters that were written to; null where nothing was written. */
  replicasConfirmed: number | null;
  /** False where a part of the registry could not be seen; `missed` says which. */
  complete: boolean;
  missed: string[];
}

export interface SurveyedSubject {
  sub: string;
  /** The master that holds it: `host:port`, or the file's name for SQLite. */
  node: string;
  entries: RegistryEntry[];
  /** Members that are no entries of ours. */
  malformed: number;
  /** Memory of this subject's names and entries in bytes; null where it was not sampled. */
  bytes: number | null;
}

export interface SurveyOutcome {
  complete: boolean;
  /** What could not be seen, for a person: `slots 0-5460 (127.0.0.1:7001: connection refused)`. */
  missed: string[];
  nodes: Array<{
    node: string;
    role: 'master' | 'embedded';
    slots: number | null;
    usedMemoryBytes: number | null;
  }>;
}

export interface RegistryNode {
  /** `host:port`, or the file's name for SQLite. */
  node: string;
  role: 'master' | 'replica' | 'embedded';
  /** The `host:port` of a replica's master; null for others. */
  master: string | null;
  /** How many of the 16,384 hash slots a master serves; null outside a cluster. */
  slots: number | null;
  /** All keys that the server holds, ours or not; null where it could not be asked. */
  keys: number | null;
  usedMemoryBytes: number | null;
  maxmemoryPolicy: string | null;
  /** How far a replica's offset is behind its master's, in bytes; null for others. */
  lagBytes: number | null;
  reachable: boolean;
}

// ---- private keys ----

/** Seals private halves under the master keyring. */
export interface Sealer {
  /** @returns the JWE, and the id of the master key that opens it */
  seal(kid: string, pkcs8: Uint8Array): Promise<{ sealed: string; masterKeyId: string }>;
  /**
   * @throws JwtctlError `ERR_MASTER_KEY_UNKNOWN` (state) where the keyring lacks the master key that the JWE names,
   * `ERR_SEAL_BROKEN` (state) where the JWE does not open or was sealed for another kid
   */
  open(kid: string, sealed: string): Promise<Uint8Array>;
}

export interface KeyPairGenerator {
  generate(bits: number): Promise<{ publicKey: string; pkcs8: Uint8Array; thumbprint: string }>;
}

/** A person at a terminal. */
export interface Prompt {
  confirm(message: string): Promise<boolean>;
  /** @returns what was typed */
  typeBack(message: string): Promise<string>;
}
