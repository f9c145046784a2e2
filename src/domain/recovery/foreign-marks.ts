import type { MarkStore } from '../ports/mark-store.js';
import { ifReachable } from '../shared/unavailable.js';
import { readAuthenticated } from './high-water-marks.js';
import type { MacKeySource } from './record-marks.js';

export interface ForeignMarksPorts {
  marks: MarkStore;
  prefix: string;
  /** Null if the keyring does not exist yet. */
  macKeys: MacKeySource | null;
}

/**
 * Returns whether another installation has written the marks. False if Redis cannot be reached.
 * @throws JwtctlError if the keyring cannot be fetched
 */
export async function areMarksForeign({ marks, prefix, macKeys }: ForeignMarksPorts): Promise<boolean> {
  const stored = await ifReachable(() => marks.read(), null);
  if (stored === null) return false;
  if (macKeys === null) return Object.values(stored).some((text) => text !== null);
  if (stored.mark === null) return false;
  const origin = { prefix, kind: 'mark' } as const;
  const { isAuthentic } = await readAuthenticated(stored.mark, origin, (id) => macKeys.find(id));
  return !isAuthentic;
}
