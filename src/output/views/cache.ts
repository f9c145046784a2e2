import { formatDuration } from '../../domain/duration.js';
import type { FlushReport } from '../../domain/flushing.js';
import type { Inspection } from '../../domain/inspection.js';
import type { RegistryNode } from '../../domain/ports.js';
import { counted } from '../counted.js';
import type { JsonObject, View } from '../view.js';

const BAR_WIDTH = 30;

export function inspection(report: Inspection): View {
  const { entries, byKid, byNode, ttl, topSubjects, anomalies } = report;
  const found = Object.entries(anomalies).filter(([, count]) => count !== null && count > 0);
  return {
    shape: 'report',
    id: String(entries),
    data: inspectionData(report),
    sections: [
      {
        title: headline(report),
        columns: ['kid', 'state', 'tokens', ''],
        rows: byKid.map((row) => [
          row.kid,
          row.state ?? 'unknown',
          String(row.entries),
          bar(row.entries, entries),
        ]),
      },
      {
        title: 'By node',
        columns: ['node', 'role', 'slots', 'tokens', 'used memory', ''],
        rows: byNode.map((row) => [
          row.node,
          row.role,
          numberOrDash(row.slots),
          String(row.entries),
          bytesOrDash(row.usedMemoryBytes),
          bar(row.entries, entries),
        ]),
      },
      {
        title: 'Time left',
        columns: ['up to', 'tokens', ''],
        rows: ttl
          .filter((row) => row.entries > 0)
          .map((row) => [
            row.leSeconds === null ? 'longer' : formatDuration(row.leSeconds),
            String(row.entries),
            bar(row.entries, entries),
          ]),
      },
      {
        title: 'Most tokens',
        columns: ['sub', 'tokens'],
        rows: topSubjects.map((row) => [row.sub, String(row.entries)]),
      },
      {
        title: 'Anomalies',
        columns: ['what', 'count'],
        rows: found.map(([name, count]) => [name, { text: String(count), tone: 'bad' as const }]),
      },
    ],
  };
}

export function flushReport(report: FlushReport, dryRun: boolean): View {
  const { matched, removed, complete, byNode, missed } = report;
  return {
    shape: 'report',
    id: String(removed),
    data: {
      matched,
      removed,
      dryRun,
      complete,
      byNode: byNode.map((row) => ({ node: row.node, removed: row.removed })),
      manifest: null,
      ...(missed.length === 0 ? {} : { missed: [...missed] }),
    },
    sections: [
      {
        title: dryRun
          ? `Would remove ${counted(matched, 'entry', 'entries')} of ${counted(report.subjects, 'subject')}`
          : `Removed ${removed} of ${counted(matched, 'entry', 'entries')}`,
        columns: ['node', 'matched', 'removed'],
        rows: [
          ...byNode.map((row) => [row.node, String(row.matched), String(row.removed)]),
          ['all', String(matched), String(removed)],
        ],
      },
    ],
  };
}

export function nodeList(nodes: readonly RegistryNode[]): View {
  return {
    shape: 'list',
    columns: ['node', 'role', 'master', 'slots', 'keys', 'used memory', 'maxmemory policy', 'lag'],
    empty: 'There are no nodes.',
    items: nodes.map((node) => ({
      id: node.node,
      data: nodeData(node),
      row: [
        node.node,
        node.reachable ? node.role : { text: `${node.role}, away`, tone: 'bad' },
        node.master ?? '-',
        numberOrDash(node.slots),
        numberOrDash(node.keys),
        bytesOrDash(node.usedMemoryBytes),
        node.maxmemoryPolicy ?? '-',
        bytesOrDash(node.lagBytes),
      ],
    })),
  };
}

function headline({ complete, entries, subjects, backend, bytes }: Inspection): string {
  const what = `${counted(entries, 'token')} of ${counted(subjects, 'subject')} in ${backend}`;
  const size = bytes === null ? '' : `, about ${bytesOrDash(bytes)} (estimated from a sample)`;
  return `${complete ? '' : 'INCOMPLETE: '}${what}${size}`;
}

function inspectionData(report: Inspection): JsonObject {
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
    byKid: report.byKid.map(({ kid, state, entries }) => ({ kid, state, entries })),
    byNode: report.byNode.map(({ node, role, slots, entries, usedMemoryBytes }) => ({
      node,
      role,
      slots,
      entries,
      usedMemoryBytes,
    })),
    ttl: report.ttl.map(({ leSeconds, entries }) => ({ leSeconds, entries })),
    topSubjects: report.topSubjects.map(({ sub, entries }) => ({ sub, entries })),
    anomalies: { noTtl, ttlMismatch, unknownKid, unknownUser, malformed },
  };
}

function nodeData(node: RegistryNode): JsonObject {
  const { role, master, slots, keys, usedMemoryBytes, maxmemoryPolicy, lagBytes, reachable } = node;
  return {
    node: node.node,
    role,
    master,
    slots,
    keys,
    usedMemoryBytes,
    maxmemoryPolicy,
    lagBytes,
    reachable,
  };
}

function bar(part: number, whole: number): string {
  return part === 0 ? '' : '█'.repeat(Math.max(1, Math.round((part / whole) * BAR_WIDTH)));
}

function numberOrDash(value: number | null): string {
  return value === null ? '-' : String(value);
}

function bytesOrDash(bytes: number | null): string {
  if (bytes === null) return '-';
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];
  const power = Math.min(units.length - 1, bytes < 1024 ? 0 : Math.floor(Math.log2(bytes) / 10));
  return `${(bytes / 1024 ** power).toFixed(power === 0 ? 0 : 1)} ${units[power]}`;
}
