import type { FlushReport } from '../../domain/flushing.js';
import { counted } from '../counted.js';
import type { View } from '../view.js';

export function flushReport(report: FlushReport, dryRun: boolean): View {
  const { matched, removed, complete, byNode, missed } = report;
  return {
    shape: 'report',
    id: String(removed),
    data: {
      matched,
      removed,
      dryRun,
      complete,
      byNode: byNode.map((row) => ({ node: row.node, removed: row.removed })),
      manifest: null,
      ...(missed.length === 0 ? {} : { missed: [...missed] }),
    },
    sections: [
      {
        title: dryRun
          ? `Would remove ${counted(matched, 'entry', 'entries')} of ${counted(report.subjects, 'subject')}`
          : `Removed ${removed} of ${counted(matched, 'entry', 'entries')}`,
        columns: ['node', 'matched', 'removed'],
        rows: [
          ...byNode.map((row) => [row.node, String(row.matched), String(row.removed)]),
          ['all', String(matched), String(removed)],
        ],
      },
    ],
  };
}
