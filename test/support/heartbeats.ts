import type { Heartbeat } from '../../src/domain/ports/index.js';

/** Creates the heartbeat of a verifier that has loaded `kids`, and the security log up to 100. */
export function heartbeatOf(id: string, at: number, parts: Partial<Heartbeat> = {}): Heartbeat {
  return {
    ...{ id, host: `host-${id}`, pid: 4711, startedAt: at - 60, kids: [] },
    ...{ log: { position: 100, missing: [] }, refused: 0, readAt: at - 1, at, until: at + 10 },
    ...parts,
  };
}
