import type { CompromiseReport } from '../../../domain/keys/compromise.js';
import { grouped } from '../number-format.js';
import type { Cell, View } from '../view.js';
import { keyData } from './keys.js';

/** With `dryRun` the keys and the entries as they are, and what would take the key's place. */
export function compromiseReport(
  report: CompromiseReport,
  dryRun: boolean,
): Extract<View, { shape: 'report' }> {
  const { key, wasCompromised, active, pending, entries } = report;
  const { before, removed, after, byNode, replicasConfirmed } = entries;
  const missed = whatIsMissing(report);
  const made = dryRun ? '(would be made)' : '-';
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
        columns: ['', 'kid'],
        rows: [
          [dryRun ? 'would be refused' : 'refused', { text: key.kid, tone: 'bad' }],
          [dryRun ? 'would sign' : 'signs now', { text: active ?? made, tone: 'good' }],
          [dryRun ? 'would sign next' : 'signs next', pending ?? made],
        ],
      },
      {
        title: dryRun ? 'Tokens under it' : 'Tokens under it, before and after the removal',
        columns: dryRun ? ['node', 'tokens'] : ['node', 'before', 'removed', 'after'],
        rows: [...byNode, total].map((node) => [
          node.node,
          grouped(node.before),
          ...(dryRun ? [] : [grouped(node.removed), countCell(node.after)]),
        ]),
      },
    ],
  };
}

/** Whether other keys are there, it is proved that nothing is left under this one, and all of it is on record. */
export function isComplete(report: CompromiseReport, dryRun: boolean): boolean {
  return whatIsMissing(report).length === 0 && (dryRun || report.entries.after === 0);
}

/** What this run could not do or see, for a person. */
export function whatIsMissing({
  entries,
  generationFailure,
  openFailure,
  auditFailure,
}: CompromiseReport): string[] {
  const left = entries.complete && (entries.after ?? 0) > 0 ? [`${entries.after} tokens came in anew`] : [];
  return [
    ...entries.missed,
    ...left,
    ...(generationFailure === null ? [] : [`no new key could be made: ${generationFailure}`]),
    ...(openFailure === null ? [] : [`no token can be issued here: ${openFailure}`]),
    ...(auditFailure === null ? [] : [`the audit log does not tell of the entries: ${auditFailure}`]),
  ];
}

function headline(report: CompromiseReport, dryRun: boolean): string {
  const isAll = isComplete(report, dryRun);
  if (dryRun) return `The key would be compromised${isAll ? '' : ': INCOMPLETE'}`;
  return `The key is compromised: ${isAll ? 'nothing under it is left' : 'INCOMPLETE'}`;
}

function countCell(count: number | null): Cell {
  if (count === null) return '-';
  return { text: grouped(count), tone: count === 0 ? 'good' : 'bad' };
}
