import { isTrusted } from '../../../domain/model/signing-key.js';
import type {
  Anomalies,
  Inspection,
  SubjectFacts,
  SubjectInspection,
} from '../../../domain/registry/inspection.js';
import type { RegistryChange } from '../../../domain/registry/watch.js';
import { formatDuration } from '../../../domain/shared/duration.js';
import { asSentence } from '../../../domain/shared/text.js';
import { grouped, groupedOrDash, share, signed, size } from '../number-format.js';
import { pluralize } from '../pluralize.js';
import { relativeTime } from '../time.js';
import type { Cell, Column, JsonObject, Section, Text, View } from '../view.js';
import { byKidData, kidOrRow } from './cache.js';
import { cachedUserText } from './cached-user.js';

export function inspection(report: Inspection | SubjectInspection, now: number): View {
  return {
    shape: 'report',
    id: String(report.entries),
    data: inspectionData(report),
    sections: inspectionSections(report, now),
  };
}

export function inspectionData(report: Inspection | SubjectInspection): JsonObject {
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
    topSubjects: report.topSubjects.map(({ sub, entries }) => ({ sub, entries })),
    anomalies: { noTtl, ttlMismatch, unknownKid, unknownUser, malformed },
    ...('subject' in report ? { subject: subjectData(report.subject) } : {}),
  };
}

/**
 * What matters most comes first: a report that is cut short loses the least.
 *
 * @param change since another look, in a column of its own
 */
export function inspectionSections(
  report: Inspection | SubjectInspection,
  now: number,
  change: RegistryChange | null = null,
): Section[] {
  const { entries, ttl, topSubjects } = report;
  const isOneSubject = 'subject' in report;
  const withChange = change === null ? [] : [{ name: 'change', align: 'right' } as const];
  return [
    {
      title: headline(report),
      lines: [...(isOneSubject ? [whereabouts(report.subject, now)] : []), ...troubles(report)],
      columns: [SHORTENED('kid'), 'state', ...NUMBERS, ...withChange, ''],
      rows: keyRows(report, change),
    },
    anomalies(report.anomalies),
    {
      title: 'By node',
      columns: [SHORTENED('node'), RIGHT('slots'), ...NUMBERS, ...withChange, RIGHT('memory used'), ''],
      rows: isOneSubject || report.backend === 'sqlite' ? [] : nodeRows(report, change),
    },
    {
      title: 'Time left',
      columns: [RIGHT('up to'), ...NUMBERS, ''],
      rows: withoutEmptyEnds(ttl).map((row) => [
        row.leSeconds === null ? 'longer' : formatDuration(row.leSeconds),
        ...numbers(row.entries, entries, largest(ttl)),
      ]),
    },
    {
      title: 'Most tokens',
      columns: [SHORTENED('sub'), ...NUMBERS, ''],
      rows: isOneSubject
        ? []
        : topSubjects.map((row) => [row.sub, ...numbers(row.entries, entries, largest(topSubjects))]),
    },
  ];
}

const RIGHT = (name: string): Column => ({ name, align: 'right' });
const SHORTENED = (name: string): Column => ({ name, mayShorten: true });
const NUMBERS = [RIGHT('tokens'), RIGHT('share')];

/** For {@link NUMBERS} and a bar behind them. */
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

function whereabouts({ node, expiresAt, userStatus, cachedUser }: SubjectFacts, now: number): string {
  const noted = cachedUser === null ? 'nothing noted' : `noted as ${cachedUserText(cachedUser, now)}`;
  const end = expiresAt === null ? '' : `, which expires ${relativeTime(expiresAt, now)}`;
  return `On ${node}${end}. The user is ${userStatus} (${noted}).`;
}

/** What a glance must not miss. */
function troubles({ complete, missed, byKid }: Inspection): Text[] {
  // What no key is left for is among the anomalies.
  const refused = byKid.filter(({ state }) => state !== null && !isTrusted(state));
  const tokens = refused.reduce((sum, { entries }) => sum + entries, 0);
  return [
    ...(complete
      ? []
      : [{ text: 'INCOMPLETE: not all of the registry could be seen.', tone: 'bad' as const }]),
    ...missed.map((one) => ({ text: asSentence(`Not seen: ${one}`), tone: 'bad' as const })),
    ...(tokens === 0
      ? []
      : [
          {
            text: `${pluralize(tokens, 'token')} under keys that are not trusted: verification refuses them.`,
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
    const state = row.state ?? 'unknown';
    return [
      kidOrRow(row),
      isRefused ? { text: state, tone: 'bad' } : state === 'active' ? { text: state, tone: 'good' } : state,
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

/** None where the column is not there. */
function changeCell(difference: number | undefined, change: RegistryChange | null): Cell[] {
  if (change === null) return [];
  return [difference === undefined || difference === 0 ? '' : signed(difference)];
}

const ANOMALIES: ReadonlyArray<readonly [keyof Anomalies, string]> = [
  ['noTtl', 'subjects of which something is kept that never expires'],
  ['ttlMismatch', 'subjects of which something does not expire with the last token'],
  ['unknownKid', 'tokens under a key that the key store does not have'],
  ['unknownUser', 'subjects with tokens that are no users'],
  ['malformed', 'set members that are not tokens'],
];

function anomalies(found: Anomalies): Section {
  const rows = ANOMALIES.flatMap(([name, what]): Cell[][] => {
    const count = found[name];
    return count === null || count === 0 ? [] : [[{ text: grouped(count), tone: 'bad' }, what]];
  });
  const unseen = found.noTtl === null ? ' (expiry and users: with --deep)' : '';
  return rows.length === 0
    ? { title: { text: `No anomalies${unseen}`, tone: 'faint' }, columns: [], rows }
    : {
        title: { text: `Anomalies${unseen}`, tone: 'bad' },
        columns: [RIGHT('count'), { name: 'what', mayShorten: true }],
        rows,
      };
}

/** A histogram from its first bar that is not empty to its last. */
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
