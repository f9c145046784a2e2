import type { Heartbeat } from '../ports/index.js';

/**
 * Returns how many tokens the running verifiers refused between two looks at their heartbeats; null if none is running.
 * A verifier that stopped in between took its last refusals with it.
 */
export function refusedBetween(
  earlier: { at: number; verifiers: readonly Heartbeat[] },
  later: readonly Heartbeat[],
): number | null {
  if (later.length === 0) return null;
  const before = new Map(earlier.verifiers.map(({ id, refused }) => [id, refused]));
  // A verifier that is new here, but older than the first look, was only not seen then.
  const since = ({ id, startedAt, refused }: Heartbeat) =>
    before.get(id) ?? (startedAt >= earlier.at ? 0 : refused);
  return later.reduce((sum, verifier) => sum + Math.max(0, verifier.refused - since(verifier)), 0);
}
