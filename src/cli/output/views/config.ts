import type { ConfigVerdict, ShownSetting } from '../../../config/show-config.js';
import type { ConfigFile } from '../../../config/sources/find-config-files.js';
import { pluralize } from '../../../domain/shared/pluralize.js';
import { shortenedColumn } from '../columns.js';
import type { Json, ListView, View } from '../view.js';

export function settingList(settings: readonly ShownSetting[]): ListView {
  return {
    shape: 'list',
    columns: ['setting', shortenedColumn('value'), shortenedColumn('origin')],
    empty: '',
    items: settings.map(({ setting, value, text, origin, variable, flag, doc }) => ({
      id: setting,
      data: { setting, value: value as Json, origin, variable, flag, doc },
      row: [
        setting,
        text === '' ? '-' : text,
        origin === 'default' ? { text: origin, tone: 'faint' } : origin,
      ],
    })),
  };
}

export function configFileList(files: readonly ConfigFile[]): View {
  return {
    shape: 'list',
    columns: [shortenedColumn('file'), 'kind', 'read'],
    empty: 'There are no configuration files.',
    items: files.map(({ path, kind, exists }) => ({
      id: path,
      data: { path, kind, exists },
      row: [path, kind, exists ? { text: 'yes', tone: 'good' } : 'no: not found'],
    })),
  };
}

/** @param opened the stores that answered; null if none was asked */
export function configVerdict(
  { problems, warnings, files }: ConfigVerdict,
  opened: readonly string[] | null,
): View {
  const isValid = problems.length === 0;
  return {
    shape: 'report',
    id: isValid ? 'valid' : 'invalid',
    data: {
      valid: isValid,
      problems: problems.map(({ code, message, hint }) => ({ code, message, hint: hint ?? null })),
      warnings: [...warnings],
      opened: [...(opened ?? [])],
      files: files.filter((file) => file.exists).map((file) => file.path),
    },
    sections: [
      {
        title: isValid
          ? 'The configuration is valid.'
          : `The configuration has ${pluralize(problems.length, 'problem')}.`,
        lines: [
          `Checked the settings and the files that they name. ${connection(opened)}`,
          ...problems.map(({ code, message, hint }) => ({
            text: `${code}: ${hint === undefined ? message : `${message} ${hint}`}`,
            tone: 'bad' as const,
          })),
          ...warnings.map((warning) => ({ text: `Warning: ${warning}`, tone: 'warn' as const })),
        ],
        columns: [],
        rows: [],
      },
      {
        title: 'Files read',
        columns: [shortenedColumn('file'), 'kind'],
        rows: files.filter((file) => file.exists).map((file) => [file.path, file.kind]),
      },
    ],
  };
}

function connection(opened: readonly string[] | null): string {
  if (opened === null) return 'Did not connect to MySQL or Redis.';
  return opened.length === 0 ? 'Opened no store.' : `Opened ${opened.join(', ')}.`;
}
