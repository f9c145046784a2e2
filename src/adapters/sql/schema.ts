import type { Generated, Kysely, Transaction } from 'kysely';
import type { KeyState, SigningAlgorithm } from '../../domain/model/signing-key.js';
import type { SecurityEventType, UserStatus } from '../../domain/ports/index.js';

/** The tables, the same on MySQL, MariaDB, and SQLite. All times are NumericDate seconds. */
export interface Schema {
  keystore: KeystoreTable;
  keystore_revision: {
    id: number;
    revision: number;
    recovered_at: number;
    longest_refresh_ttl: Generated<number>;
  };
  users: UsersTable;
  security_log: SecurityLogTable;
  audit_log: AuditLogTable;
  audit_head: { id: number; chain_id: string; seq: number; hash: string };
  event_consumers: { name: string; position: string; holder: string; leased_until: number };
  // The tables of the registry exist only in SQLite.
  registry_entries: RegistryEntriesTable;
  registry_users: { sub: string; status: UserStatus; version: number; known_until: number };
  registry_families: RegistryFamiliesTable;
  registry_fleet: { id: string; heartbeat: string; until: number };
}

export type SqlExecutor = Kysely<Schema> | Transaction<Schema>;

export interface KeystoreTable {
  position: Generated<number>;
  id: number;
  kid: string;
  alg: SigningAlgorithm;
  bits: number;
  state: KeyState;
  private_key: string | null;
  public_key: string;
  master_key_id: string | null;
  max_ttl_seconds: number | null;
  created_at: number;
  activated_at: number | null;
  retiring_at: number | null;
  verify_until: number | null;
  retired_at: number | null;
  compromised_at: number | null;
}

export interface UsersTable {
  sub: string;
  name: string | null;
  status: UserStatus;
  /** Only read while `status` is exactly `disabled`. */
  disabled_until: number | null;
  version: number;
  created_at: number;
  updated_at: number;
}

export interface SecurityLogTable {
  id: Generated<number>;
  type: SecurityEventType;
  sub: string | null;
  jti: string | null;
  kid: string | null;
  issued_before: number | null;
  user_version: number | null;
  except_jti: string | null;
  reason: string | null;
  at: number;
  expires_at: number;
  verifiers_until: number | null;
}

export interface AuditLogTable {
  seq: number;
  at: number;
  actor: string;
  login: string;
  action: string;
  target: string;
  outcome: string;
  reason: string | null;
  details: string | null;
  mac_key_id: string | null;
  previous_hash: string;
  hash: string;
}

export interface RegistryEntriesTable {
  sub: string;
  jti: string;
  key_id: number;
  iat: number;
  exp: number;
  meta: string | null;
  last_seen: number | null;
}

export interface RegistryFamiliesTable {
  sub: string;
  family: string;
  counter: number;
  key_id: number;
  iat: number;
  started_at: number;
  refreshed_at: number;
  exp: number;
  meta: string | null;
}
