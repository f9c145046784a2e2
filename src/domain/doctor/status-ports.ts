import type { EventDelivery } from '../event-stream/deliver.js';
import type { Inspection } from '../inspection/types.js';
import type { SchemaStatus } from '../model/schema-status.js';
import type { Clock, Database, TokenRegistry } from '../ports/index.js';
import type { DatabaseGuard } from '../recovery/database-guard.js';

/** The composition root has these. Each opens its store when it is called. */
export interface StatusPorts {
  database(): Promise<Database>;
  schema(): Promise<{ status(): Promise<SchemaStatus> }>;
  registry(): Promise<TokenRegistry>;
  guard(): Promise<Pick<DatabaseGuard, 'assertCurrent'>>;
  /** Null if no command gets the events. */
  eventDelivery(warn: (text: string) => void): Promise<Pick<EventDelivery, 'backlog'> | null>;
  readonly clock: Clock;
  /** An inspection that was made already; deep for the check `entries`. Without it, each reader makes its own. */
  readonly inspection?: Inspection;
}

export interface StatusPolicy {
  rotateAfterSeconds: number;
  publishLeadSeconds: number;
  clockToleranceSeconds: number;
}
