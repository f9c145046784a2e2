import type { RegistryEntry, RegistryScanner } from '../ports/index.js';
import { JwtctlError } from '../shared/errors.js';
import type { EntriesAhead } from './entries-ahead.js';

export interface SubjectTokens {
  count: number;
  /** The largest `iat`, but at least the `now` of the call. */
  latestIat: number;
}

export async function countSubjectTokens(
  registry: RegistryScanner,
  sub: string,
  now: number,
  isMatch: (entry: RegistryEntry) => boolean = () => true,
  ahead?: EntriesAhead,
): Promise<SubjectTokens> {
  const tokens: SubjectTokens = { count: 0, latestIat: now };
  const count = (parts: ReadonlyArray<{ entries: readonly RegistryEntry[] }>) => {
    for (const { entries } of parts) {
      for (const entry of entries) {
        if (!isMatch(entry)) continue;
        tokens.count += 1;
        ahead?.add(sub, entry);
        tokens.latestIat = Math.max(tokens.latestIat, entry.iat);
      }
    }
  };
  try {
    await registry.scan(count, { now, sub });
  } catch (error) {
    // A key of the wrong type must not block a revocation.
    if (!(error instanceof JwtctlError) || error.code !== 'ERR_REDIS_WRONG_TYPE') throw error;
  }
  return tokens;
}
