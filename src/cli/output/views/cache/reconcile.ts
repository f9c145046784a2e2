import { countChanges, type ReconciliationReport } from '../../../../domain/registry/reconcile.js';
import { DROP_REASONS, type DropReason } from '../../../../domain/registry/reconciliation-plan.js';
import { pluralize } from '../../../../domain/shared/pluralize.js';
import { numberColumn, shortenedColumn } from '../../columns.js';
import type { Section, View } from '../../view.js';

const DROPPED: Record<DropReason, string> = {
  keyNotTrusted: 'entries of keys that are retired, compromised, or missing',
  revoked: 'entries of revoked tokens',
  userUnknown: 'entries of users that do not exist',
};

export function reconciliationReport(report: ReconciliationReport, dryRun: boolean): View {
  const { dropped, statusesCached, expiriesSet, leftovers } = report;
  return {
    shape: 'report',
    id: String(countChanges(report)),
    data: {
      complete: report.complete,
      dryRun,
      subjects: report.subjects,
      entries: report.entries,
      dropped: {
        revoked: dropped.revoked,
        keyNotTrusted: dropped.keyNotTrusted,
        userUnknown: dropped.userUnknown,
      },
      statusesCached,
      expiriesSet,
      leftovers,
      byNode: report.byNode.map((row) => ({ node: row.node, dropped: row.dropped })),
      missed: [...report.missed],
    },
    sections: [
      changes(report, dryRun),
      {
        title: dryRun ? 'Entries to remove, by node' : 'Entries removed, by node',
        columns: [shortenedColumn('node'), numberColumn('dropped')],
        rows: report.byNode.filter((row) => row.dropped > 0).map((row) => [row.node, String(row.dropped)]),
      },
    ],
  };
}

function changes(report: ReconciliationReport, dryRun: boolean): Section {
  const { dropped, statusesCached, expiriesSet, leftovers } = report;
  const rows: Array<[string, number]> = [
    ...DROP_REASONS.map((reason): [string, number] => [DROPPED[reason], dropped[reason]]),
    ['outdated cached user statuses', statusesCached],
    ['wrong or missing expiries', expiriesSet],
    ['leftovers: expired entries, and sets without entries', leftovers],
  ];
  return {
    title: headline(report, dryRun),
    columns: [shortenedColumn(dryRun ? 'to fix' : 'fixed'), numberColumn('count')],
    rows: rows.filter(([, count]) => count > 0).map(([what, count]) => [what, String(count)]),
  };
}

function headline(report: ReconciliationReport, dryRun: boolean): string {
  const { complete, entries, subjects } = report;
  const found = countChanges(report);
  const what = `${pluralize(entries, 'token')} of ${pluralize(subjects, 'subject')}`;
  const done = found === 0 ? 'nothing to fix' : dryRun ? `${found} to fix` : `${found} fixed`;
  return `${complete ? '' : 'INCOMPLETE: '}${what}: ${done}`;
}
