import { familyJti } from '../model/family.js';
import { byAge } from '../model/registry-entry.js';
import type { TokenMeta } from '../model/token-meta.js';
import type {
  EntryStore,
  FamilyStore,
  ListedEntry,
  RegistryEntry,
  TokenStatusReader,
} from '../ports/index.js';
import { idleSeconds, lastUse } from './idle.js';
import { listFamilies } from './list-families.js';

export interface ListedToken extends Omit<RegistryEntry, 'exp'> {
  /** Null for a session whose last access token has expired or was removed. */
  exp: number | null;
  meta: TokenMeta | null;
  /** When the token was last issued or verified. Undefined if that is not stored. */
  lastSeen?: number | undefined;
  /** Whether verifiers refuse the token, because it was not used for `token.idleTimeout`. */
  isIdle: boolean;
  /** When the refresh token expires; null for any other than the last access token of a session. */
  refreshExp: number | null;
}

type ListRegistry = Pick<
  EntryStore & FamilyStore & TokenStatusReader,
  'list' | 'familyPages' | 'tokenStatus'
> & {
  readonly idleTimeoutSeconds: number | null;
};

/**
 * Returns the live tokens of a subject and its sessions, by `iat`, then `jti`.
 * @param limit returns at most this many, the first ones
 * @throws JwtctlError `ERR_SUBJECT_TOO_LARGE` (state); with a limit, only because of sessions
 */
export async function listTokens(
  registry: ListRegistry,
  sub: string,
  now: number,
  limit?: number,
): Promise<ListedToken[]> {
  const [entries, families] = await Promise.all([
    registry.list(sub, now, { limit }),
    listFamilies(registry, sub, now),
  ]);
  const isIdle = await idlenessOf(registry, { sub, entries, now });
  const sessions = new Map(families.map((one) => [familyJti(one.family, one.counter), one]));
  const listed: ListedToken[] = entries.map((entry) => {
    const refreshExp = sessions.get(entry.jti)?.exp ?? null;
    sessions.delete(entry.jti);
    return { ...entry, refreshExp, isIdle: isIdle(entry) };
  });
  for (const [jti, { keyId, iat, meta, exp }] of sessions) {
    listed.push({ jti, keyId, iat, exp: null, meta, refreshExp: exp, isIdle: false });
  }
  // The entry of a session that comes after the last entry here may have been cut off.
  return listed.sort(byAge).slice(0, limit);
}

/** All entries of a subject are on one server, so one request returns the start time of the server for all of them. */
async function idlenessOf(
  registry: ListRegistry,
  { sub, entries, now }: { sub: string; entries: readonly ListedEntry[]; now: number },
): Promise<(entry: ListedEntry) => boolean> {
  const { idleTimeoutSeconds } = registry;
  const isUnused = (lastSeen: number | undefined) =>
    idleSeconds(lastSeen, idleTimeoutSeconds, now) !== undefined;
  const unused = entries.find(({ lastSeen }) => isUnused(lastSeen));
  if (unused === undefined) return () => false;
  const { serverStartedAt } = await registry.tokenStatus(sub, unused, now);
  const policy = { idleTimeoutSeconds, clockToleranceSeconds: 0 };
  return ({ lastSeen }) => isUnused(lastUse({ lastSeen, serverStartedAt }, policy, now));
}
