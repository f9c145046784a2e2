import type { EntryStore } from './entry-store.js';
import type { FamilyStore } from './family-store.js';
import type { MarkStore } from './mark-store.js';
import type { RegistryScanner } from './registry-scanner.js';
import type { TokenStatusReader } from './token-status.js';
import type { VerifierRoster } from './verifier-roster.js';

/** The registry of live tokens as an adapter implements it. */
export interface TokenRegistry
  extends EntryStore,
    FamilyStore,
    TokenStatusReader,
    RegistryScanner,
    VerifierRoster {
  /** Null for SQLite: a backup of the file includes the registry, so nothing outside the file is newer. */
  readonly marks: MarkStore | null;
}
