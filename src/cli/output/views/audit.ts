import type { AuditFinding } from '../../../domain/audit-log/audit-findings.js';
import type { ExportedAuditRow } from '../../../domain/audit-log/export-audit-log.js';
import type { PruneOutcome, PrunePlan } from '../../../domain/audit-log/prune-audit-log.js';
import type { AuditReport } from '../../../domain/audit-log/verify-audit-log.js';
import type { AuditHead, AuditRow } from '../../../domain/ports/index.js';
import type { MarkComparison } from '../../../domain/recovery/database-guard.js';
import { grouped, pluralize } from '../../../domain/shared/pluralize.js';
import { printableJson } from '../../../domain/shared/text.js';
import { numberColumn, plainColumn, shortenedColumn } from '../columns.js';
import { isoTime } from '../time.js';
import type { Cell, JsonObject, ListItem, ListView, Section, Text, View } from '../view.js';

export function auditList(rows: AsyncIterable<AuditRow>): ListView {
  return {
    shape: 'list',
    items: listItems(rows),
    columns: [
      numberColumn('seq'),
      plainColumn('time', 5),
      shortenedColumn('actor', 4),
      plainColumn('action', 6),
      shortenedColumn('target'),
      plainColumn('outcome', 3),
      shortenedColumn('reason', 2),
      shortenedColumn('login', 1),
    ],
    empty: 'No row of the audit log matches.',
  };
}

async function* listItems(rows: AsyncIterable<AuditRow>): AsyncGenerator<ListItem> {
  for await (const row of rows) {
    const { seq, at, actor, action, target, outcome, reason, login } = row;
    yield {
      data: auditRowData(row),
      id: String(seq),
      row: [String(seq), isoTime(at), actor, action, target, outcome, reason ?? '-', login],
    };
  }
}

export function auditRowData(row: AuditRow): JsonObject {
  const { seq, at, actor, login, action, target, outcome, reason } = row;
  return { seq, at, actor, login, action, target, outcome, reason };
}

export function auditReport(report: AuditReport, comparison: MarkComparison): View {
  const { head, start, rows, faults, unauthenticated, unauthenticatedRows, lastAuthenticated, omitted } =
    report;
  const isBehind = isUnknown(comparison) ? null : comparison === 'behind';
  const isValid = faults.length > 0 ? false : isBehind === null ? null : !isBehind;
  const found = [...faults, ...unauthenticated];
  return {
    shape: 'report',
    data: {
      valid: isValid,
      rows,
      prunedUpTo: start.seq,
      head: { seq: head.seq, hash: head.hash, chainId: head.chainId },
      behind: isBehind,
      faults: faults.map(findingData),
      unauthenticated: unauthenticated.map(findingData),
      unauthenticatedRows,
      lastAuthenticated:
        lastAuthenticated === null ? null : { seq: lastAuthenticated.seq, hash: lastAuthenticated.hash },
      omitted,
    },
    id: faults.map(({ firstSeq, lastSeq }) => rangeText(firstSeq, lastSeq)),
    sections: [
      {
        title: verdict(isValid, report),
        lines: [
          ...(start.seq === 0 ? [] : [`The rows up to ${grouped(start.seq)} were pruned.`]),
          `The last row is row ${grouped(head.seq)}. Its hash is ${head.hash}.`,
          ...(unauthenticatedRows === 0 ? [] : [lastAuthenticatedText(lastAuthenticated)]),
        ],
        columns: [],
        rows: [],
      },
      findingSection(found),
      ...(omitted === 0
        ? []
        : [{ title: `${pluralize(omitted, 'more finding')} not listed.`, columns: [], rows: [] }]),
    ],
  };
}

const isUnknown = (comparison: MarkComparison) => comparison === 'unreachable' || comparison === 'no_mark';

/** @param isValid null if the end of the log was not compared */
function verdict(
  isValid: boolean | null,
  { rows, unauthenticatedRows }: Pick<AuditReport, 'rows' | 'unauthenticatedRows'>,
): Text {
  const what = `${pluralize(rows, 'row')} of the audit log`;
  if (isValid === null)
    return { text: `! no faults found, but the end was not checked: ${what}`, tone: 'warn' };
  if (isValid && unauthenticatedRows > 0)
    return {
      text: `! valid: ${what}, ${grouped(unauthenticatedRows)} of them not authenticated`,
      tone: 'warn',
    };
  return isValid ? { text: `✓ valid: ${what}`, tone: 'good' } : { text: `✗ not valid: ${what}`, tone: 'bad' };
}

function lastAuthenticatedText(last: AuditHead | null): string {
  return last === null
    ? 'No row is authenticated.'
    : `The last authenticated row is row ${grouped(last.seq)}. Its hash is ${last.hash}.`;
}

function findingSection(found: readonly AuditFinding[]): Section {
  return {
    title: 'Findings',
    columns: ['rows', 'finding'],
    rows: found.map(({ finding, firstSeq, lastSeq }) => [
      rangeText(firstSeq, lastSeq),
      { text: finding.replace('_', ' '), tone: finding === 'unauthenticated' ? 'warn' : 'bad' } as Cell,
    ]),
  };
}

function findingData({ finding, firstSeq, lastSeq }: AuditFinding): JsonObject {
  return { finding, firstSeq, lastSeq };
}

function rangeText(firstSeq: number, lastSeq: number): string {
  return firstSeq === lastSeq ? String(firstSeq) : `${firstSeq}-${lastSeq}`;
}

function exportedData(row: ExportedAuditRow): JsonObject {
  const { details = null, macKeyId, chainId, previousHash, hash } = row;
  return { ...auditRowData(row), details, macKeyId, chainId, previousHash, hash };
}

/** Returns a line of the exported file. */
export function auditLine(row: ExportedAuditRow): string {
  return `${printableJson(JSON.stringify(exportedData(row)))}\n`;
}

export function auditStream(portions: AsyncIterable<readonly ExportedAuditRow[]>): View {
  return { shape: 'stream', portions: streamItems(portions) };
}

async function* streamItems(portions: AsyncIterable<readonly ExportedAuditRow[]>) {
  for await (const portion of portions)
    yield portion.map((row) => ({ data: exportedData(row), id: String(row.seq) }));
}

interface AuditExport {
  file: string;
  rows: number;
  firstSeq: number | null;
  last: ExportedAuditRow | null;
}

export function auditExport({ file, rows, firstSeq, last }: AuditExport, dryRun: boolean): View {
  const range = firstSeq === null || last === null ? '-' : rangeText(firstSeq, last.seq);
  return {
    shape: 'record',
    data: {
      file: dryRun ? null : file,
      ...{ rows, firstSeq, lastSeq: last?.seq ?? null, lastHash: last?.hash ?? null },
      ...(dryRun ? { dryRun } : {}),
    },
    id: file,
    fields: [
      [dryRun ? 'would write' : 'file', file],
      ['rows', grouped(rows)],
      ['range', range],
      ['last hash', last?.hash ?? '-'],
    ],
  };
}

/** @param outcome null for a dry run */
export function pruneReport({ upTo, rows, report }: PrunePlan, outcome: PruneOutcome | null): View {
  const removed = outcome?.removed ?? 0;
  return {
    shape: 'record',
    data: {
      pruned: removed,
      prunedUpTo: outcome?.prunedUpTo ?? report.start.seq,
      faults: report.faults.map(findingData),
      ...(outcome === null ? { dryRun: true, wouldPrune: rows } : {}),
    },
    id: String(removed),
    fields: [
      [outcome === null ? 'would prune' : 'pruned', pluralize(outcome === null ? rows : removed, 'row')],
      ...(upTo === null ? [] : [['up to row', String(outcome?.prunedUpTo ?? upTo.seq)] as const]),
      ...(report.faults.length === 0
        ? []
        : [['faults', { text: grouped(report.faults.length), tone: 'bad' as const }] as const]),
    ],
  };
}
