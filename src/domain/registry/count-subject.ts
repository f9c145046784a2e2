import type { RegistryEntry, RegistryScanner } from '../ports/index.js';
import { JwtctlError } from '../shared/errors.js';

export interface SubjectTokens {
  count: number;
  /** The later of the moment that was asked for and the largest `iat` among them. */
  latestIat: number;
}

/** Counts the live tokens of a subject, part by part: a million of them take no more memory than a few. */
export async function countSubjectTokens(
  registry: RegistryScanner,
  sub: string,
  now: number,
  isMeant: (entry: RegistryEntry) => boolean = () => true,
): Promise<SubjectTokens> {
  const tokens: SubjectTokens = { count: 0, latestIat: now };
  const take = (parts: ReadonlyArray<{ entries: readonly RegistryEntry[] }>) => {
    for (const { entries } of parts) {
      for (const entry of entries) {
        if (!isMeant(entry)) continue;
        tokens.count += 1;
        tokens.latestIat = Math.max(tokens.latestIat, entry.iat);
      }
    }
  };
  try {
    await registry.scan(take, { now, sub });
  } catch (error) {
    // Whoever is to be revoked is revoked, whatever stands in the place of their tokens.
    if (!(error instanceof JwtctlError) || error.code !== 'ERR_REDIS_WRONG_TYPE') throw error;
  }
  return tokens;
}
