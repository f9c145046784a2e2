import type { Inspection } from '../../../../domain/inspection/types.js';
import { pluralize } from '../../../../domain/shared/pluralize.js';
import { size } from '../../number-format.js';
import type { View } from '../../view.js';

export function writtenPage(
  {
    file,
    bytes,
    inspection: { entries, subjects, complete },
  }: { file: string; bytes: number; inspection: Pick<Inspection, 'entries' | 'subjects' | 'complete'> },
  dryRun: boolean,
): View {
  const tokens = `${pluralize(entries, 'token')} of ${pluralize(subjects, 'subject')}`;
  return {
    shape: 'record',
    id: file,
    data: { file, bytes, entries, subjects, complete, dryRun },
    fields: [
      [dryRun ? 'would write' : 'written', file],
      ['size', size(bytes)],
      ['live tokens', complete ? tokens : { text: `at least ${tokens}`, tone: 'warn' }],
    ],
  };
}
