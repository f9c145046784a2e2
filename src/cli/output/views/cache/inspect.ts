import type {
  Anomalies,
  Inspection,
  SubjectFacts,
  SubjectInspection,
} from '../../../../domain/inspection/types.js';
import type { RegistryChange } from '../../../../domain/inspection/watch.js';
import { isTrusted } from '../../../../domain/model/signing-key.js';
import { grouped, pluralize } from '../../../../domain/shared/pluralize.js';
import { asSentence } from '../../../../domain/shared/text.js';
import { numberColumn, plainColumn, shortenedColumn } from '../../columns.js';
import { groupedOrDash, share, signed, size } from '../../number-format.js';
import { relativeTime } from '../../time.js';
import type { Cell, JsonObject, Section, Text, View } from '../../view.js';
import { cachedUserText } from './cached-user.js';
import { byKidData, keyState, kidOrRow } from './flush.js';

export function inspection(report: Inspection | SubjectInspection, now: number): View {
  return {
    shape: 'report',
    id: String(report.entries),
    data: inspectionData(report),
    sections: inspectionSections(report, now),
  };
}

export function inspectionData(report: Inspection | SubjectInspection) {
  const { noTtl, ttlMismatch, unknownKid, unknownUser, malformed } = report.anomalies;
  return {
    backend: report.backend,
    prefix: report.prefix,
    complete: report.complete,
    ...(report.missed.length === 0 ? {} : { missed: [...report.missed] }),
    entries: report.entries,
    subjects: report.subjects,
    bytes: report.bytes,
    bytesEstimated: true,
    byKid: byKidData(report.byKid),
    byNode: report.byNode.map(({ node, role, slots, entries, usedMemoryBytes }) => ({
      ...{ node, role, slots, entries, usedMemoryBytes },
    })),
    ttl: report.ttl.map(({ leSeconds, entries }) => ({ leSeconds, entries })),
    expiry: report.expiry.map(({ leSeconds, entries }) => ({ leSeconds, entries })),
    topSubjects: report.topSubjects.map(({ sub, entries }) => ({ sub, entries })),
    anomalies: { noTtl, ttlMismatch, unknownKid, unknownUser, malformed },
    ...('subject' in report ? { subject: subjectData(report.subject) } : {}),
  };
}

/** Puts the most important sections first, because a small terminal cuts the last ones. */
export function inspectionSections(
  report: Inspection | SubjectInspection,
  now: number,
  change: RegistryChange | null = null,
): Section[] {
  const { entries, expiry, topSubjects } = report;
  const isOneSubject = 'subject' in report;
  const withChange = change === null ? [] : [numberColumn('change')];
  return [
    {
      title: headline(report),
      lines: [...(isOneSubject ? [subjectText(report.subject, now)] : []), ...warnings(report)],
      columns: [shortenedColumn('kid'), plainColumn('state', 1), ...NUMBERS, ...withChange, ''],
      rows: keyRows(report, change),
    },
    anomalies(report.anomalies),
    {
      title: 'By node',
      columns: [
        shortenedColumn('node'),
        numberColumn('slots', 2),
        ...NUMBERS,
        ...withChange,
        numberColumn('memory used', 1),
        '',
      ],
      rows: isOneSubject || report.backend === 'sqlite' ? [] : nodeRows(report, change),
    },
    {
      title: 'Expiry in the next 24 hours',
      columns: [numberColumn('within'), ...NUMBERS, ''],
      rows: withoutEmptyEnds(expiry).map((row) => [
        row.leSeconds === null ? 'later' : `${row.leSeconds / 3_600}h`,
        ...numbers(row.entries, entries, largest(expiry)),
      ]),
    },
    {
      title: 'Subjects with the most tokens',
      columns: [shortenedColumn('sub'), ...NUMBERS, ''],
      rows: isOneSubject
        ? []
        : topSubjects.map((row) => [row.sub, ...numbers(row.entries, entries, largest(topSubjects))]),
    },
  ];
}

const NUMBERS = [numberColumn('tokens'), numberColumn('share')];

function numbers(part: number, whole: number, longest: number): [Cell, Cell, Cell] {
  return [grouped(part), share(part, whole), { bar: longest === 0 ? 0 : part / longest }];
}

function headline(report: Inspection | SubjectInspection): string {
  const { entries, subjects, backend, prefix, bytes } = report;
  const whose = 'subject' in report ? report.subject.sub : pluralize(subjects, 'subject');
  const where = prefix === '' ? backend : `${backend} under ${prefix}`;
  const memory = bytes === null || bytes === 0 ? '' : `, about ${size(bytes)}`;
  return `${pluralize(entries, 'token')} of ${whose} in ${where}${memory}`;
}

function subjectText({ node, expiresAt, userStatus, cachedUser }: SubjectFacts, now: number): string {
  const cached = cachedUser === null ? 'status not cached' : `cached as ${cachedUserText(cachedUser, now)}`;
  const end = expiresAt === null ? '' : `, expires ${relativeTime(expiresAt, now)}`;
  return `On ${node}${end}. The user is ${userStatus} (${cached}).`;
}

export function notRead({ missed = [] }: { missed?: readonly string[] }): string[] {
  return missed.map((one) => asSentence(`Not read: ${one}`));
}

function warnings({ complete, missed, byKid }: Inspection): Text[] {
  // Tokens of unknown keys are among the anomalies.
  const refused = byKid.filter(({ state }) => state !== null && !isTrusted(state));
  const tokens = refused.reduce((sum, { entries }) => sum + entries, 0);
  return [
    ...(complete
      ? []
      : [{ text: 'INCOMPLETE: parts of the registry could not be read.', tone: 'bad' as const }]),
    ...notRead({ missed }).map((text) => ({ text, tone: 'bad' as const })),
    ...(tokens === 0
      ? []
      : [
          {
            text: `Verification refuses ${pluralize(tokens, 'token')}, because the key is not trusted.`,
            tone: 'bad' as const,
          },
        ]),
  ];
}

function keyRows({ byKid, entries }: Inspection, change: RegistryChange | null): Cell[][] {
  const longest = largest(byKid);
  const rows = byKid.map((row): Cell[] => {
    const [tokens, part, bar] = numbers(row.entries, entries, longest);
    const isRefused = row.state === null || !isTrusted(row.state);
    const state = keyState(row);
    return [
      kidOrRow(row),
      isRefused
        ? { text: state, tone: 'bad' }
        : row.state === 'active'
          ? { text: state, tone: 'good' }
          : state,
      ...[tokens, part],
      ...changeCell(change?.byKid.find(({ keyId }) => keyId === row.keyId)?.entries, change),
      bar,
    ];
  });
  const emptied = change?.byKid.filter(({ keyId }) => byKid.every((row) => row.keyId !== keyId)) ?? [];
  return [
    ...rows,
    ...emptied.map((row) => [kidOrRow(row), '-', '0', '0%', ...changeCell(row.entries, change), '']),
  ];
}

function nodeRows({ byNode, entries }: Inspection, change: RegistryChange | null): Cell[][] {
  const longest = largest(byNode);
  return byNode.map((row) => {
    const [tokens, part, bar] = numbers(row.entries, entries, longest);
    return [
      row.role === 'gone' ? { text: `${row.node} (gone)`, tone: 'bad' } : row.node,
      groupedOrDash(row.slots),
      ...[tokens, part],
      ...changeCell(change?.byNode.find(({ node }) => node === row.node)?.entries, change),
      size(row.usedMemoryBytes),
      bar,
    ];
  });
}

function changeCell(difference: number | undefined, change: RegistryChange | null): Cell[] {
  if (change === null) return [];
  return [difference === undefined || difference === 0 ? '' : signed(difference)];
}

const ANOMALIES: ReadonlyArray<readonly [keyof Anomalies, string]> = [
  ['noTtl', 'subjects with data that never expires'],
  ['ttlMismatch', 'subjects whose data does not expire with the last token'],
  ['unknownKid', 'tokens of keys that are not in the key store'],
  ['unknownUser', 'subjects that have tokens but are not users'],
  ['malformed', 'set members that are not tokens'],
];

function anomalies(found: Anomalies): Section {
  const rows = ANOMALIES.flatMap(([name, what]): Cell[][] => {
    const count = found[name];
    return count === null || count === 0 ? [] : [[{ text: grouped(count), tone: 'bad' }, what]];
  });
  const unchecked = found.noTtl === null ? ' (expiry and users not checked; use --deep)' : '';
  return rows.length === 0
    ? { title: { text: `No anomalies${unchecked}`, tone: 'faint' }, columns: [], rows }
    : {
        title: { text: `Anomalies${unchecked}`, tone: 'bad' },
        columns: [numberColumn('count'), shortenedColumn('what')],
        rows,
      };
}

function withoutEmptyEnds<Row extends { entries: number }>(rows: readonly Row[]): readonly Row[] {
  const first = rows.findIndex(({ entries }) => entries > 0);
  return first < 0 ? [] : rows.slice(first, rows.findLastIndex(({ entries }) => entries > 0) + 1);
}

function largest(rows: ReadonlyArray<{ entries: number }>): number {
  return rows.reduce((most, { entries }) => Math.max(most, entries), 0);
}

function subjectData({ sub, node, expiresAt, expired, userStatus, cachedUser }: SubjectFacts): JsonObject {
  return {
    ...{ sub, node, expiresAt, expired, userStatus },
    cachedUser:
      cachedUser === null
        ? null
        : { status: cachedUser.status, version: cachedUser.version, until: cachedUser.until },
  };
}
