import { type MetricObjectWithValues, type MetricValue, Registry } from 'prom-client';
import type { KeyStatus } from '../domain/doctor/key-status.js';
import type { Status } from '../domain/doctor/read-status.js';
import type { StatusPolicy } from '../domain/doctor/status-ports.js';
import type { Inspection } from '../domain/inspection/types.js';
import { isTrusted } from '../domain/model/signing-key.js';
import type { Database } from '../domain/ports/index.js';
import { collected, type MetricValues } from './collected.js';
import type { MetricName } from './declarations.js';
import { addKeyMetrics } from './key-metrics.js';

export interface InstallationMetrics {
  /** In the text format of Prometheus. */
  text: string;
  metrics: ReadonlyArray<MetricObjectWithValues<MetricValue<string>>>;
}

/** Problems that have a metric. Each other problem means that something could not be read. */
const REPORTED = ['ERR_NO_ACTIVE_KEY', 'ERR_DATABASE_BEHIND'];

/**
 * Leaves out the counts of an incomplete scan, because they would look like complete ones.
 * @throws the problem that left a part unread; first one of a store that is away, because a later run may succeed
 */
export async function installationMetrics(
  { database }: { database(): Promise<Pick<Database, 'heads'>> },
  { at, keys, nodes, tokens, fleet, problems }: Status,
  policy: StatusPolicy,
): Promise<InstallationMetrics> {
  const fault =
    problems.find(({ kind }) => kind === 'unavailable') ??
    problems.find(({ code }) => !REPORTED.includes(code));
  if (fault !== undefined || keys === null || nodes === null || tokens === null) throw fault;
  const { audit } = await (await database()).heads();
  const registry = new Registry();
  const add = (name: MetricName, values: MetricValues) => collected(registry, name, () => values);

  add('jwtctl_metrics_timestamp_seconds', at);
  addKeyMetrics(registry, policy, () => keys);
  add(
    'jwtctl_problems',
    REPORTED.map((reported) => [{ code: reported }, Number(problems.some(({ code }) => code === reported))]),
  );
  add('jwtctl_registry_scan_complete', Number(tokens.complete));
  if (tokens.complete) {
    add('jwtctl_live_tokens', tokensByKid(keys, tokens));
    add('jwtctl_live_subjects', tokens.subjects);
    add('jwtctl_registry_foreign_members', tokens.anomalies.malformed);
  }
  add(
    'jwtctl_registry_node_up',
    nodes.map(({ node, role, reachable }) => [{ node, role }, Number(reachable)]),
  );
  for (const [name, field] of MEMORY)
    add(
      name,
      nodes.flatMap(({ node, [field]: bytes }) => (bytes === null ? [] : [[{ node }, bytes] as const])),
    );
  if (fleet !== null && fleet.unavailableReason === null) add('jwtctl_verifiers', fleet.verifiers.length);
  add('jwtctl_audit_rows_total', audit.seq);
  return { text: await registry.metrics(), metrics: await registry.getMetricsAsJSON() };
}

const MEMORY = [
  ['jwtctl_registry_memory_bytes', 'usedMemoryBytes'],
  ['jwtctl_registry_memory_limit_bytes', 'maxmemoryBytes'],
] as const;

/** Keys that can have tokens count with 0, so that no series is missing. */
function tokensByKid({ all }: KeyStatus, { byKid }: Inspection): MetricValues {
  const counts = new Map(all.filter(({ state }) => isTrusted(state)).map(({ kid }) => [kid, 0]));
  for (const { kid, entries } of byKid) counts.set(kid ?? '', (counts.get(kid ?? '') ?? 0) + entries);
  return [...counts].map(([kid, entries]) => [{ kid }, entries]);
}
