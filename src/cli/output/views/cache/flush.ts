import { stateName } from '../../../../domain/model/signing-key.js';
import type { FlushReport } from '../../../../domain/registry/flush.js';
import type { KeyCount } from '../../../../domain/registry/keys-by-id.js';
import { grouped, pluralize } from '../../../../domain/shared/pluralize.js';
import { numberColumn, shortenedColumn } from '../../columns.js';
import type { Section, View } from '../../view.js';

export function flushReport(report: FlushReport, dryRun: boolean): View {
  const { matched, removed, subjects, complete, byNode, byKid, backup, missed } = report;
  return {
    shape: 'report',
    id: String(removed),
    data: {
      ...{ matched, removed, subjects, dryRun, complete },
      byNode: byNode.map((row) => ({ node: row.node, matched: row.matched, removed: row.removed })),
      byKid: byKidData(byKid),
      backup,
      ...(missed.length === 0 ? {} : { missed: [...missed] }),
    },
    sections: [
      {
        title: headline(report, dryRun),
        ...(backup === null ? {} : { lines: [exportedText(matched, backup)] }),
        columns: [
          shortenedColumn('node'),
          numberColumn('matched'),
          ...(dryRun ? [] : [numberColumn('removed')]),
        ],
        rows: [...byNode, { node: 'all', matched, removed }].map((row) => [
          ...[row.node, grouped(row.matched)],
          ...(dryRun ? [] : [grouped(row.removed)]),
        ]),
      },
      byKidSection(byKid),
    ],
  };
}

function headline({ matched, removed, subjects, complete }: FlushReport, dryRun: boolean): string {
  const found = `${pluralize(matched, 'entry', 'entries')} of ${pluralize(subjects, 'subject')}`;
  const counted = complete ? found : `${found} found; there may be more`;
  return dryRun ? `Would remove ${counted}` : `Removed ${grouped(removed)} of ${counted}`;
}

function exportedText(matched: number, backup: string): string {
  if (matched === 0) return `No entries matched, so the backup ${backup} has no entries.`;
  return `The matching entries are in the backup ${backup}.`;
}

export function byKidData(rows: readonly KeyCount[]) {
  return rows.map(({ kid, keyId, state, entries }) => ({ kid, keyId, state, entries }));
}

/** A kid has no spaces, so no kid looks like the text for an unknown key. */
export function kidOrRow({ kid, keyId }: Pick<KeyCount, 'kid' | 'keyId'>): string {
  return kid ?? `(unknown key ${keyId})`;
}

export function keyState({ state, verifyOnly }: Pick<KeyCount, 'state' | 'verifyOnly'>): string {
  return state === null ? 'unknown' : stateName({ state, verifyOnly: verifyOnly === true });
}

export function byKidSection(rows: readonly KeyCount[]): Section {
  return {
    title: 'By key',
    columns: [shortenedColumn('kid'), 'state', numberColumn('entries')],
    rows: rows.map((row) => [kidOrRow(row), keyState(row), grouped(row.entries)]),
  };
}
