import { ISSUER_KEY_HOLD_SECONDS } from '../model/lifetime.js';
import type { KeyState, SigningKey } from '../model/signing-key.js';
import type { Clock, RegistryScanner } from '../ports/index.js';
import { type SubjectPart, scanSubjects } from '../registry/scan-subjects.js';
import { type WalkControl, walkControl } from '../registry/walk-options.js';

/** What lives under one key. Times are NumericDate seconds; null where nothing lives. */
export interface KeyUsage {
  kid: string;
  state: KeyState;
  tokens: number;
  subjects: number;
  firstExp: number | null;
  lastExp: number | null;
  /** From when on the key can be retired without refusing a token; null while it signs or may sign. */
  retirableAt: number | null;
  /** Until when it verifies unless somebody retires it before: reckoned when it stepped down, without looking at tokens. */
  verifyUntil: number | null;
}

export interface UsageReport {
  /** When the count began. */
  at: number;
  /** False where a part of the registry could not be seen; `missed` says which. */
  complete: boolean;
  missed: string[];
  keys: KeyUsage[];
}

/** Counts the live tokens under each key, over the whole registry. */
export async function countKeyUsage(
  ports: { registry: RegistryScanner; clock: Clock },
  keys: readonly SigningKey[],
  policy: { clockToleranceSeconds: number },
  control: WalkControl = {},
): Promise<UsageReport> {
  const at = ports.clock.now();
  const tallies = new Map(
    keys.map((key) => [key.id, { tokens: 0, subjects: 0, firstExp: Infinity, lastExp: 0 }]),
  );
  const add = ({ part, state: countedKeys }: SubjectPart<Set<number>>) => {
    for (const { keyId, exp } of part.entries) {
      const tally = tallies.get(keyId);
      if (tally === undefined) continue;
      tally.tokens += 1;
      if (!countedKeys.has(keyId)) tally.subjects += 1;
      countedKeys.add(keyId);
      tally.firstExp = Math.min(tally.firstExp, exp);
      tally.lastExp = Math.max(tally.lastExp, exp);
    }
  };
  const outcome = await scanSubjects(
    ports.registry,
    () => new Set<number>(),
    (parts) => {
      for (const part of parts) add(part);
    },
    { now: at, ...walkControl(control) },
  );
  const pluralize = keys.map((key): KeyUsage => {
    const tally = tallies.get(key.id);
    const lives = tally !== undefined && tally.tokens > 0;
    const lastExp = lives ? tally.lastExp : null;
    return {
      kid: key.kid,
      state: key.state,
      tokens: tally?.tokens ?? 0,
      subjects: tally?.subjects ?? 0,
      firstExp: lives ? tally.firstExp : null,
      lastExp,
      retirableAt: retirableAt(key, lastExp, outcome.complete, policy.clockToleranceSeconds),
      verifyUntil: key.state === 'retiring' ? key.verifyUntil : null,
    };
  });
  return { at, complete: outcome.complete, missed: outcome.missed, keys: pluralize };
}

/**
 * `verifyUntil` is what can be said without looking. A complete count may say less, but only of a moment at which no
 * issuer could still sign with the key: what is registered after the count would not be in it.
 */
function retirableAt(
  key: SigningKey,
  lastExp: number | null,
  complete: boolean,
  clockToleranceSeconds: number,
): number | null {
  if (key.state !== 'retiring' || key.retiringAt === null || key.verifyUntil === null) return null;
  if (!complete) return key.verifyUntil;
  const letGoAt = key.retiringAt + ISSUER_KEY_HOLD_SECONDS;
  const pluralize = lastExp === null ? letGoAt : Math.max(letGoAt, lastExp + clockToleranceSeconds);
  return Math.min(key.verifyUntil, pluralize);
}
