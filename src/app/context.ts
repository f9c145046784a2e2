import type { MacKeys } from '../adapters/sealing/mac-keys.js';
import type { MysqlRole } from '../adapters/sql/mysql/privileges.js';
import type { KeyTableOptions, KeyTableRow } from '../adapters/sql/stores/key-table.js';
import type { Settings } from '../config/settings.js';
import type { EventDelivery } from '../domain/event-stream/deliver.js';
import type { SchemaStatus } from '../domain/model/schema-status.js';
import type { BackupFiles } from '../domain/ports/backup-file.js';
import type {
  AccountRights,
  Administration,
  Clock,
  Database,
  KeyPairGenerator,
  Prompt,
  PublishedKeys,
  RefreshTokenSealer,
  Sealer,
  TokenRegistry,
  UserDirectory,
} from '../domain/ports/index.js';
import type { DatabaseGuard } from '../domain/recovery/database-guard.js';
import type { RecoveryPorts } from '../domain/recovery/recover.js';
import type { IfMissing } from './embedded-store.js';
import type { Tracing } from './tracing.js';

/** Each dependency is created on first use. `dispose` closes what was opened. */
export interface Context {
  readonly settings: Settings;
  readonly clock: Clock;
  /**
   * The clock for the times of keys and revocations: the database's if this host's differs by more than the
   * tolerance. All hosts share it. Only for commands, because the difference is measured once.
   */
  databaseClock(): Promise<Clock>;
  /** The name recorded in the audit log. */
  readonly actor: string;
  /** @throws JwtctlError `ERR_NO_STORE` (state) without an embedded store, unless `ifMissing` is set */
  database(ifMissing?: IfMissing): Promise<Database>;
  users(): Promise<UserDirectory>;
  /** For issuers: each user has the claims of `users.claims`. */
  usersWithClaims(): Promise<UserDirectory>;
  registry(): Promise<TokenRegistry>;
  /** Loads the master keyring, if there is one. @throws JwtctlError if it is not usable */
  checkKeyring(): Promise<void>;
  /** Returns the master key file that {@link createKeyring} would create; null if there is nothing to create. */
  missingKeyring(): Promise<string | null>;
  /**
   * Creates the master key file if it does not exist. Returns its name if it was created.
   * @throws JwtctlError `ERR_MASTER_KEY_MISSING` (state) if private keys are sealed under a lost master key
   */
  createKeyring(): Promise<string | null>;
  /**
   * Returns whether another installation uses the prefix in Redis; false if Redis cannot be reached. Without a keyring,
   * any mark is another's.
   */
  hasForeignMarks(): Promise<boolean>;
  /**
   * Called by `cache reconcile` and `cache restore`, because two installations under one prefix would remove each
   * other's tokens.
   * @throws JwtctlError `ERR_REDIS_PREFIX_IN_USE` (state); kind `unavailable` if the marks cannot be read
   */
  assertOwnPrefix(): Promise<void>;
  /** The keys that authenticate the rows of the audit log. */
  auditKeys(): Promise<MacKeys>;
  /** Checked before every operation that grants access. */
  guard(): Promise<DatabaseGuard>;
  /** Null for an embedded store. */
  recovery(): Promise<RecoveryPorts | null>;
  administration(): Promise<Administration>;
  sealer(): Promise<Sealer>;
  refreshTokenSealer(): Promise<RefreshTokenSealer>;
  backups(): Promise<BackupFiles>;
  /** Delivers events to `hooks.command`. Null without that setting. */
  eventDelivery(warn: (text: string) => void): Promise<EventDelivery | null>;
  /** Reads the keys in another program's table. @throws JwtctlError `ERR_KEY_TABLE_UNREADABLE` (usage) */
  readKeyTable(options: KeyTableOptions): Promise<KeyTableRow[]>;
  generator(): Promise<KeyPairGenerator>;
  /** @param url default: `keys.publishUrl`. Without either, the result is null. */
  publishedKeys(url?: string): Promise<PublishedKeys | null>;
  schema(): Promise<{
    status(): Promise<SchemaStatus>;
    /** Performs the checks of `migrate`. */
    plan(): Promise<string[]>;
    migrate(): Promise<string[]>;
  }>;
  /** Compares the accounts of the stores with what jwtctl needs. None for an embedded store. */
  accountRights(): Promise<readonly AccountRights[]>;
  /** Returns the statements that give an account its least privileges. Connects to no store. */
  accountStatements(account: AccountKind): Promise<string[]>;
  prompt(): Promise<Prompt>;
  /** Null unless the program uses OpenTelemetry. */
  tracing(): Promise<Tracing | null>;
  dispose(): Promise<void>;
}

/** The accounts of MySQL by what they may do, and the account of Redis. */
export type AccountKind = MysqlRole | 'redis';

/** Where texts for the user go. */
export interface Messages {
  /** Called with information for the user, such as which store is in use. */
  notice(text: string): void;
  /** Called with warnings about something to fix, such as a secret that other users can read. */
  caution(text: string): void;
  /** Called with text that is shown in every output mode, such as the path of a new master key file. */
  warn(text: string): void;
  /** Called with details for `--verbose`. */
  trace(text: string): void;
}
