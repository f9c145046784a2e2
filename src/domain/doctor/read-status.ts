import type { Fleet } from '../fleet/running-verifiers.js';
import { inspectRegistry } from '../inspection/inspect.js';
import type { Inspection, InspectionProgress } from '../inspection/types.js';
import type { SchemaStatus } from '../model/schema-status.js';
import type { SigningKey } from '../model/signing-key.js';
import type { RegistryNode, WalkControl } from '../ports/index.js';
import { formatDuration } from '../shared/duration.js';
import { failureText, JwtctlError } from '../shared/errors.js';
import { deliveryFindings, readBacklog } from './delivery-findings.js';
import { type KeyStatus, keyStatus, noActiveKey, secondsLate } from './key-status.js';
import type { StatusPolicy, StatusPorts } from './status-ports.js';
import { verifiersWithoutKeys } from './verifiers-without-keys.js';

/** A part is null if it could not be read. `problems` says why. */
export interface Status {
  at: number;
  schema: SchemaStatus | null;
  keys: KeyStatus | null;
  nodes: readonly RegistryNode[] | null;
  tokens: Inspection | null;
  fleet: Fleet | null;
  problems: readonly JwtctlError[];
  warnings: readonly string[];
}

/** Reads everything that can be read. @throws JwtctlError kind `usage`, which no store can cause */
export async function readStatus(
  ports: StatusPorts,
  policy: StatusPolicy,
  control: Pick<WalkControl, 'signal'> & { onProgress?: (progress: InspectionProgress) => void },
): Promise<Status> {
  const at = ports.clock.now();
  const problems: JwtctlError[] = [];
  const warnings: string[] = [];
  const tried = async <T>(read: () => Promise<T>): Promise<T | null> => {
    try {
      return await read();
    } catch (error) {
      if (!(error instanceof JwtctlError) || UNEXPECTED.has(error.kind)) throw error;
      // Without its store, each part fails in the same way.
      if (problems.every(({ message }) => message !== error.message)) problems.push(error);
      return null;
    }
  };

  const database = await tried(ports.database);
  const schema = await tried(async () => (await ports.schema()).status());
  const snapshot =
    database &&
    (await tried(() =>
      database.keys.snapshot(({ message }) => warnings.push(`A key is left out: ${message}`)),
    ));
  const keys = snapshot && keyStatus(snapshot.keys, policy, at);
  if (keys?.active === null) problems.push(noActiveKey(keys.pending));
  const [nodes, tokens, fleet] = await Promise.all([
    tried(async () => (await ports.registry()).nodes()),
    tried(async () => {
      if (ports.inspection !== undefined) return ports.inspection;
      const input = { now: at, top: 0, clockToleranceSeconds: policy.clockToleranceSeconds, ...control };
      return inspectRegistry(await ports.registry(), snapshot?.keys ?? [], input);
    }),
    tried(() => readFleet(ports, at)),
  ]);
  if (database !== null) await tried(async () => (await ports.guard()).assertCurrent());
  const backlog = database && (await tried(() => readBacklog(ports)));
  warnings.push(
    ...(backlog === null ? [] : deliveryFindings(backlog, ports.clock.now())).map(
      ({ message, remedy }) => `${message} ${remedy}`,
    ),
    ...(keys === null ? [] : keyWarnings(keys, policy, at)),
    ...(keys === null || tokens === null ? [] : tokenWarnings(tokens)),
    ...(snapshot === null || fleet === null ? [] : fleetWarnings(fleet, snapshot.keys)),
  );
  return { at, schema, keys, nodes, tokens, fleet, problems, warnings };
}

const UNEXPECTED = new Set(['bug', 'usage', 'interrupted']);

/** If one master is away, only the list of verifiers may be missing. */
async function readFleet({ registry: open }: StatusPorts, at: number): Promise<Fleet> {
  const registry = await open();
  try {
    const { verifiers, untrusted } = await registry.fleet(at);
    return { verifiers, untrusted, unavailableReason: null };
  } catch (error) {
    if (!(error instanceof JwtctlError) || UNEXPECTED.has(error.kind)) throw error;
    return { verifiers: [], unavailableReason: failureText(error) };
  }
}

function keyWarnings(keys: KeyStatus, policy: StatusPolicy, now: number): string[] {
  if (keys.active === null) return [];
  if (keys.pending === 0)
    return [
      'No pending key is published, so verifiers cannot load the next key in advance. Run `jwtctl keys rotate`, and schedule it.',
    ];
  const late = secondsLate(keys, policy, now);
  if (late === 0) return [];
  return [
    `The rotation of key ${keys.active?.kid} is late by ${formatDuration(late)}. Run \`jwtctl keys rotate\`, and check that its job runs.`,
  ];
}

function tokenWarnings({ anomalies: { unknownKid, malformed } }: Inspection): string[] {
  return [
    ...(unknownKid === 0
      ? []
      : ['The registry has tokens under keys that the database does not have. Run `jwtctl cache inspect`.']),
    ...(malformed === 0
      ? []
      : ['The registry has set members that are not tokens. Run `jwtctl cache inspect`.']),
  ];
}

function fleetWarnings(fleet: Fleet, keys: readonly SigningKey[]): string[] {
  if (fleet.unavailableReason !== null)
    return [`The running verifiers could not be listed: ${fleet.unavailableReason}`];
  return verifiersWithoutKeys(fleet, keys).map((text) => `${text} Check that they can reach the database.`);
}
