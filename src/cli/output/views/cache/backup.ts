import {
  type RestorationReport,
  SKIP_REASONS,
  type SkipReason,
} from '../../../../domain/registry/restore.js';
import type { SnapshotReport } from '../../../../domain/registry/snapshot.js';
import { grouped, pluralize } from '../../../../domain/shared/pluralize.js';
import { numberColumn, shortenedColumn } from '../../columns.js';
import { isoTime } from '../../time.js';
import type { View } from '../../view.js';
import { byKidData, byKidSection } from './flush.js';

export function snapshotReport(report: SnapshotReport): View {
  const { backup, entries, subjects, byKid, complete, missed } = report;
  const found = `${pluralize(entries, 'entry', 'entries')} of ${pluralize(subjects, 'subject')}`;
  return {
    shape: 'report',
    id: backup ?? String(entries),
    data: {
      ...{ backup, entries, subjects, dryRun: backup === null, complete },
      byKid: byKidData(byKid),
      ...(missed.length === 0 ? {} : { missed: [...missed] }),
    },
    sections: [
      {
        title: backup === null ? `Would write ${found}` : `Wrote ${found} to ${backup}`,
        columns: [],
        rows: [],
      },
      byKidSection(byKid),
    ],
  };
}

export function restorationReport(report: RestorationReport, dryRun: boolean): View {
  const { facts, entries, restored, unchanged, skipped, complete, missed } = report;
  const { createdAt, backend, prefix } = facts;
  const reasons = SKIP_REASONS.filter((reason) => skipped[reason] > 0);
  const name = [backend, prefix].join(' ').trim();
  return {
    shape: 'report',
    id: String(restored),
    data: {
      ...{ entries, restored, unchanged, dryRun, complete },
      skipped: Object.fromEntries(SKIP_REASONS.map((reason) => [reason, skipped[reason]])),
      backup: { createdAt, backend, prefix },
      ...(missed.length === 0 ? {} : { missed: [...missed] }),
    },
    sections: [
      {
        title: `${dryRun ? 'Would restore' : 'Restored'} ${grouped(restored)} of ${pluralize(entries, 'entry', 'entries')}`,
        lines: [
          `The backup was taken from ${name} at ${isoTime(createdAt)}.`,
          ...(unchanged === 0 ? [] : [unchangedText(unchanged)]),
        ],
        columns: [],
        rows: [],
      },
      {
        title: 'Not restored',
        columns: [shortenedColumn('why'), numberColumn('entries')],
        rows: reasons.map((reason) => [WORDS[reason], grouped(skipped[reason])]),
      },
    ],
  };
}

function unchangedText(unchanged: number): string {
  return `${pluralize(unchanged, 'entry was', 'entries were')} already in the registry.`;
}

const WORDS: Record<SkipReason, string> = {
  malformed: 'the entry is invalid',
  expired: 'expired',
  keyNotTrusted: 'the key is unknown, or no longer verifies',
  revoked: 'revoked',
  userUnknown: 'the user does not exist',
  userDisabled: 'the user is disabled',
};
