import type { Migration } from 'kysely';
import { auditLog } from './audit-log.js';
import type { Engine } from './column-types.js';
import { eventConsumers } from './event-consumers.js';
import { keystore } from './keystore.js';
import { eventException, eventVerifiersUntil, longerEventKid, securityLog } from './security-log.js';
import { tokenRegistry } from './token-registry.js';
import { users, usersDisabledUntil } from './users.js';

export type { Engine } from './column-types.js';

/**
 * A released migration is never edited. MySQL's DDL commits by itself, so each migration does one thing, and
 * can run again if the process died between its statement and the record that it ran.
 */
export function migrationsFor(engine: Engine): Record<string, Migration> {
  return {
    '001_keystore': keystore.table(engine),
    '002_keystore_revision': keystore.revisionTable(engine),
    '003_users': users(engine),
    '004_security_log': securityLog(engine),
    '005_audit_log': auditLog.table(engine),
    '006_audit_head': auditLog.headTable(engine),
    ...(engine === 'sqlite'
      ? {
          '007_registry_entries': tokenRegistry.entriesTable(),
          '008_registry_users': tokenRegistry.usersTable(),
          '009_registry_fleet': tokenRegistry.fleetTable(),
        }
      : {
          '010_keystore_kid': keystore.longerKid(),
          '011_security_log_kid': longerEventKid(),
        }),
    '012_security_log_verifiers_until': eventVerifiersUntil(),
    ...(engine === 'sqlite' ? { '013_registry_families': tokenRegistry.familiesTable() } : {}),
    '014_longest_refresh_ttl': keystore.longestRefreshTtl(),
    '015_security_log_except': eventException(engine),
    '016_users_disabled_until': usersDisabledUntil(),
    ...(engine === 'sqlite' ? { '017_registry_entries_last_seen': tokenRegistry.entriesLastSeen() } : {}),
    '018_audit_log_at': auditLog.atIndex(engine),
    '019_audit_log_details': auditLog.detailsColumn(engine),
    '020_event_consumers': eventConsumers(engine),
  };
}
