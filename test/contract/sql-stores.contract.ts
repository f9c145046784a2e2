import type { SqlEngine } from '../support/sql-engines.js';
import { auditLogContract } from './audit-log.contract.js';
import { auditPruneContract } from './audit-prune.contract.js';
import { auditTamperingContract } from './audit-tampering.contract.js';
import { databaseContract } from './database.contract.js';
import { eventDeliveryContract } from './event-delivery.contract.js';
import { eventStreamContract } from './event-stream.contract.js';
import { keyStoreContract } from './key-store.contract.js';
import { schemaContract } from './schema.contract.js';
import { securityLogContract } from './security-log.contract.js';
import { userClaimsContract } from './user-claims.contract.js';
import { userStoreContract } from './user-store.contract.js';
import { userTableContract } from './user-table.contract.js';

export function sqlContracts(engine: SqlEngine): void {
  schemaContract(engine);
  databaseContract(engine);
  keyStoreContract(engine);
  userStoreContract(engine);
  userTableContract(engine);
  userClaimsContract(engine);
  securityLogContract(engine);
  auditLogContract(engine);
  auditPruneContract(engine);
  auditTamperingContract(engine);
  eventStreamContract(engine);
  eventDeliveryContract(engine);
}
