import type { RegistryNode } from '../ports/index.js';
import type { CheckOutcome, DoctorPorts, Finding } from './check.js';

/** Judges the servers behind the registry. An embedded store has none. */
export async function judgeNodes(
  ports: Pick<DoctorPorts, 'registry'>,
  judge: (nodes: readonly RegistryNode[]) => readonly Finding[],
): Promise<CheckOutcome> {
  const registry = await ports.registry();
  if (registry.backend === 'sqlite') return { notMade: 'The registry is in the embedded store.' };
  return judge(await registry.nodes());
}
