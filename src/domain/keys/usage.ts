import { ISSUER_KEY_HOLD_SECONDS } from '../model/lifetime.js';
import { isVerifyOnly, type KeyState, type SigningKey } from '../model/signing-key.js';
import type { Clock, RegistryScanner, WalkControl } from '../ports/index.js';
import { type SubjectPart, scanSubjects } from '../registry/scan-subjects.js';

/** Times are NumericDate seconds; null without live tokens. */
export interface KeyUsage {
  kid: string;
  state: KeyState;
  verifyOnly: boolean;
  tokens: number;
  subjects: number;
  firstExp: number | null;
  lastExp: number | null;
  /** The earliest time at which retiring the key refuses no token; null while it signs or may sign. */
  retirableAt: number | null;
  /** When `keys rotate` retires the key; null unless it is retiring, or without an end. */
  verifyUntil: number | null;
}

export interface UsageReport {
  at: number;
  complete: boolean;
  missed: string[];
  keys: KeyUsage[];
}

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
    { now: at, ...control },
  );
  const usages = keys.map((key): KeyUsage => {
    const tally = tallies.get(key.id);
    const hasTokens = tally !== undefined && tally.tokens > 0;
    const lastExp = hasTokens ? tally.lastExp : null;
    return {
      kid: key.kid,
      state: key.state,
      verifyOnly: isVerifyOnly(key),
      tokens: tally?.tokens ?? 0,
      subjects: tally?.subjects ?? 0,
      firstExp: hasTokens ? tally.firstExp : null,
      lastExp,
      retirableAt: retirableAt(
        key,
        { at, lastExp, complete: outcome.complete },
        policy.clockToleranceSeconds,
      ),
      verifyUntil: key.state === 'retiring' ? key.verifyUntil : null,
    };
  });
  return { at, complete: outcome.complete, missed: outcome.missed, keys: usages };
}

/**
 * Returns `verifyUntil` (null for none), or an earlier time if a complete count proves it safe. That time is never before issuers stop
 * signing with the key, because the count misses tokens registered after it.
 */
function retirableAt(
  key: SigningKey,
  { at, lastExp, complete }: Pick<UsageReport, 'at' | 'complete'> & Pick<KeyUsage, 'lastExp'>,
  clockToleranceSeconds: number,
): number | null {
  if (key.state !== 'retiring') return null;
  if (!complete) return key.verifyUntil;
  const issuersStopAt = isVerifyOnly(key) ? at : (key.retiringAt ?? at) + ISSUER_KEY_HOLD_SECONDS;
  const unusedFrom =
    lastExp === null ? issuersStopAt : Math.max(issuersStopAt, lastExp + clockToleranceSeconds);
  return Math.min(key.verifyUntil ?? unusedFrom, unusedFrom);
}
