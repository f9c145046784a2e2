import type { CompromiseReport } from '../../../../domain/keys/compromise.js';
import { grouped, pluralize } from '../../../../domain/shared/pluralize.js';
import { numberColumn, shortenedColumn } from '../../columns.js';
import type { Cell, View } from '../../view.js';
import { keyData } from './signing-key.js';

export function compromiseReport(
  report: CompromiseReport,
  dryRun: boolean,
): Extract<View, { shape: 'report' }> {
  const { key, wasCompromised, active, pending, entries } = report;
  const { before, removed, after, byNode, replicasConfirmed } = entries;
  const missed = unfinishedWork(report);
  const none = dryRun ? '(new key)' : '-';
  const total = { node: 'all', before, removed, after };
  return {
    shape: 'report',
    id: key.kid,
    data: {
      ...keyData(key, dryRun),
      alreadyCompromised: wasCompromised,
      active,
      pending,
      entries: { before, removed, after },
      byNode: byNode.map((node) => ({
        node: node.node,
        before: node.before,
        removed: node.removed,
        after: node.after,
      })),
      replicasConfirmed,
      complete: isComplete(report, dryRun),
      missed,
    },
    sections: [
      {
        title: headline(report, dryRun),
        columns: ['', shortenedColumn('kid')],
        rows: [
          [dryRun ? 'would be refused' : 'refused', { text: key.kid, tone: 'bad' }],
          [dryRun ? 'would sign' : 'signs now', { text: active ?? none, tone: 'good' }],
          [dryRun ? 'would sign next' : 'signs next', pending ?? none],
        ],
      },
      {
        title: dryRun ? 'Tokens of the key' : 'Tokens of the key, before and after the removal',
        columns: [
          shortenedColumn('node'),
          ...(dryRun ? ['tokens'] : ['before', 'removed', 'after']).map((name) => numberColumn(name)),
        ],
        rows: [...byNode, total].map((node) => [
          node.node,
          grouped(node.before),
          ...(dryRun ? [] : [grouped(node.removed), countCell(node.after)]),
        ]),
      },
    ],
  };
}

/** Whether the key is replaced, none of its tokens is left, and the audit log has a row for it. */
export function isComplete(report: CompromiseReport, dryRun: boolean): boolean {
  return unfinishedWork(report).length === 0 && (dryRun || report.entries.after === 0);
}

export function unfinishedWork({
  entries,
  generationFailure,
  openFailure,
  auditFailure,
}: CompromiseReport): string[] {
  const left =
    entries.complete && (entries.after ?? 0) > 0
      ? [`${pluralize(entries.after ?? 0, 'token was', 'tokens were')} registered during the removal`]
      : [];
  return [
    ...entries.missed,
    ...left,
    ...(generationFailure === null ? [] : [`a new key could not be generated: ${generationFailure}`]),
    ...(openFailure === null ? [] : [`this host cannot issue tokens: ${openFailure}`]),
    ...(auditFailure === null ? [] : [`the removed entries are not in the audit log: ${auditFailure}`]),
  ];
}

function headline(report: CompromiseReport, dryRun: boolean): string {
  const isAll = isComplete(report, dryRun);
  if (dryRun) return `The key would be compromised${isAll ? '' : ': INCOMPLETE'}`;
  return isAll ? 'The key is compromised, and its tokens are removed' : 'The key is compromised: INCOMPLETE';
}

function countCell(count: number | null): Cell {
  if (count === null) return '-';
  return { text: grouped(count), tone: count === 0 ? 'good' : 'bad' };
}
