import { MOST_LISTED } from '../ports/entry-store.js';
import type { FamilyStore, TokenFamily } from '../ports/index.js';
import { tooLarge } from './oldest-entries.js';

/**
 * Returns the subject's families that have not expired, by start, then by name.
 * @throws JwtctlError `ERR_SUBJECT_TOO_LARGE` (state) if there are more than {@link MOST_LISTED}
 */
export async function listFamilies(
  registry: Pick<FamilyStore, 'familyPages'>,
  sub: string,
  now: number,
): Promise<TokenFamily[]> {
  const families = new Map<string, TokenFamily>();
  for await (const page of registry.familyPages(sub, now)) {
    for (const family of page) families.set(family.family, family);
    if (families.size > MOST_LISTED) throw tooLarge(sub);
  }
  return [...families.values()].sort((a, b) => a.startedAt - b.startedAt || (a.family < b.family ? -1 : 1));
}
