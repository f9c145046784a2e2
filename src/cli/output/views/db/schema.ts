import type { SchemaStatus } from '../../../../domain/model/schema-status.js';
import type { View } from '../../view.js';

export function schemaStatus({ engine, applied, pending, unknown }: SchemaStatus): View {
  return {
    shape: 'record',
    data: { engine, current: pending.length === 0 && unknown.length === 0, applied, pending, unknown },
    id: pending.length === 0 && unknown.length === 0 ? 'current' : 'outdated',
    fields: [
      ['engine', engine],
      ['applied', list(applied)],
      [
        'pending',
        pending.length === 0 ? { text: 'none', tone: 'good' } : { text: list(pending), tone: 'warn' },
      ],
      ...(unknown.length === 0
        ? []
        : [['from a newer version', { text: list(unknown), tone: 'bad' }] as const]),
    ],
  };
}

export function migrationReport(applied: readonly string[], dryRun: boolean): View {
  return {
    shape: 'record',
    data: dryRun ? { applied: [], dryRun: true, wouldApply: [...applied] } : { applied: [...applied] },
    id: applied,
    fields: [
      [
        dryRun ? 'would apply' : 'applied',
        applied.length === 0 ? 'nothing: the schema is current' : list(applied),
      ],
    ],
  };
}

function list(names: readonly string[]): string {
  return names.length === 0 ? '-' : names.join(', ');
}
