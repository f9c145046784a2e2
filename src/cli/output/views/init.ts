import type { Change } from '../../../config/edit-config.js';
import { pluralize } from '../../../domain/shared/pluralize.js';
import { shortenedColumn } from '../columns.js';
import type { Section, Text, View } from '../view.js';

export function statementList(statements: readonly string[]): View {
  return { shape: 'text', text: `${statements.join('\n')}\n`, data: { statements: [...statements] } };
}

/** A title with lines, for stderr. */
export function notice(title: string, ...lines: ReadonlyArray<string | undefined>): View {
  const shown = lines.flatMap((line) => (line === undefined ? [] : [line]));
  return { shape: 'report', data: {}, id: [], sections: [{ title, lines: shown, columns: [], rows: [] }] };
}

export interface InitReport {
  file: string;
  profile: string | null;
  changes: readonly Change[];
  dryRun: boolean;
  /** The embedded store that was created; null if it exists, or there is none. */
  store: string | null;
  /** Whether the changes were shown with the question. */
  isShown: boolean;
  /** The master key file that was created; null if it exists, or is not a file. */
  keyring: string | null;
  migrations: readonly string[];
}

export function initReport(report: InitReport): View {
  const { file, profile, changes, dryRun, store, keyring, migrations } = report;
  return {
    shape: 'report',
    id: file,
    data: {
      ...{ file, profile, dryRun, storeFile: store, masterKeyFile: keyring, migrations: [...migrations] },
      changes: changes.map(({ setting, before, after }) => ({ setting, before, after })),
    },
    sections: [changeSection(report)],
  };
}

/** What was done besides writing the file. */
export function initNotes({ dryRun, store, keyring, migrations }: InitReport): string[] {
  return [
    ...(store === null ? [] : [`${dryRun ? 'Would create' : 'Created'} the embedded store ${store}.`]),
    ...(keyring === null
      ? []
      : [
          `${dryRun ? 'Would create' : 'Created'} the master key file ${keyring}. Keep a copy in a safe place: without it, no private key can be opened.`,
        ]),
    ...(migrations.length === 0
      ? []
      : [
          `${dryRun ? 'Would apply' : 'Applied'} ${pluralize(migrations.length, 'migration')} to the database.`,
        ]),
  ];
}

/** What is about to be written, for stderr. */
export function shownChanges(report: Pick<InitReport, 'file' | 'profile' | 'changes'>): View {
  return {
    shape: 'report',
    data: {},
    id: [],
    sections: [changeSection({ ...report, dryRun: true, isShown: false })],
  };
}

function changeSection({
  file,
  profile,
  changes,
  dryRun,
  isShown,
}: Pick<InitReport, 'file' | 'profile' | 'changes' | 'dryRun' | 'isShown'>): Section {
  const where = profile === null ? file : `the profile ${profile} of ${file}`;
  const what = pluralize(changes.length, 'setting');
  const cell = (text: string | null): Text => text ?? { text: '-', tone: 'faint' };
  return {
    title:
      changes.length === 0
        ? `Nothing to change in ${where}.`
        : `${dryRun ? 'Would write' : 'Wrote'} ${what} to ${where}${isShown ? '.' : ':'}`,
    columns:
      changes.length === 0 || isShown ? [] : ['setting', shortenedColumn('before'), shortenedColumn('after')],
    rows: isShown ? [] : changes.map(({ setting, before, after }) => [setting, cell(before), cell(after)]),
  };
}
