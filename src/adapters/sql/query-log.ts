import type { LogConfig } from 'kysely';
import type { RecordCall, StoreCall } from '../../domain/ports/index.js';

/** Returns what Kysely does after each query. */
export function queryLog(system: StoreCall['system'], record: RecordCall | undefined): LogConfig {
  if (record === undefined) return [];
  return (event) => {
    const { sql } = event.query;
    const [operation = ''] = /^\w+/.exec(sql) ?? [];
    const [, collection] = /\b(?:from|into|update) [`"]?(\w+)/.exec(sql) ?? [];
    const error = event.level === 'error' ? event.error : undefined;
    const durationMs = event.queryDurationMillis;
    record({ system, operation: operation.toUpperCase(), collection, durationMs, error });
  };
}
