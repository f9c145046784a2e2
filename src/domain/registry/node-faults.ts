import type { RegistryNode } from '../ports/index.js';

export const SAFE_POLICY = 'noeviction';
export const FULL_SHARE = 0.95;

export function evicts({ maxmemoryPolicy }: Pick<RegistryNode, 'maxmemoryPolicy'>): boolean {
  return maxmemoryPolicy !== null && maxmemoryPolicy !== SAFE_POLICY;
}

/** Always false for a single server, which has no slots. */
export function lacksReplica({ node, role, slots }: RegistryNode, nodes: readonly RegistryNode[]): boolean {
  const hasOne = nodes.some(({ master, reachable }) => master === node && reachable);
  return role === 'master' && slots !== null && slots > 0 && !hasOne;
}

/** Whether a master will soon refuse new tokens. */
export function isFilling({ role, usedMemoryBytes, maxmemoryBytes, maxmemoryPolicy }: RegistryNode): boolean {
  if (role !== 'master' || maxmemoryPolicy !== SAFE_POLICY) return false;
  return (
    usedMemoryBytes !== null && maxmemoryBytes !== null && usedMemoryBytes >= FULL_SHARE * maxmemoryBytes
  );
}
