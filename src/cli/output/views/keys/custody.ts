import type { RewrapReport } from '../../../../domain/keys/rewrap.js';
import type { SigningKey } from '../../../../domain/model/signing-key.js';
import { pluralize } from '../../../../domain/shared/pluralize.js';
import type { View } from '../../view.js';

export function rewrapReport(report: RewrapReport, dryRun: boolean): View {
  const { masterKeyId, rewrapped, unchanged, failed, left } = report;
  return {
    shape: 'record',
    data: {
      masterKeyId,
      rewrapped: dryRun ? [] : [...rewrapped],
      unchanged: [...unchanged],
      failed: failed.map(({ kid, code, message }) => ({ kid, code, message })),
      left: [...left],
      ...(dryRun ? { dryRun: true, wouldRewrap: [...rewrapped] } : {}),
    },
    id: dryRun ? [] : rewrapped,
    fields: [
      ['master key', masterKeyId],
      [dryRun ? 'would rewrap' : 'rewrapped', kids(rewrapped)],
      ['unchanged', kids(unchanged)],
      ...(failed.length === 0
        ? []
        : [['failed', { text: kids(failed.map(({ kid }) => kid)), tone: 'bad' }] as const]),
      ...(left.length === 0 ? [] : [['not done', { text: kids(left), tone: 'warn' }] as const]),
    ],
  };
}

export function purgeReport(keys: readonly SigningKey[], dryRun: boolean): View {
  const purged = keys.map(({ kid }) => kid);
  const done = dryRun ? 'would delete' : 'deleted';
  return {
    shape: 'record',
    data: dryRun ? { purged: [], dryRun: true, wouldPurge: purged } : { purged },
    id: dryRun ? [] : purged,
    fields: [
      [done, `${pluralize(keys.length, 'key')}${purged.length === 0 ? '' : `: ${purged.join(', ')}`}`],
    ],
  };
}

function kids(names: readonly string[]): string {
  return names.length === 0 ? '-' : names.join(', ');
}
