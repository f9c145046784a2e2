import { familyJti, familyOf } from '../model/family.js';
import type { EventPolicy } from '../model/lifetime.js';
import { hasMeta, type TokenMeta } from '../model/token-meta.js';
import type {
  Administration,
  EntryName,
  FamilyStore,
  RegistryScanner,
  ScannedEntry,
} from '../ports/index.js';
import { MOST_NAMED, type NamedToken, nameTokens } from '../security-log/name-tokens.js';
import { afterRecord } from '../security-log/record.js';
import type { RevocationOptions, RevocationOutcome } from './revoke.js';

/**
 * Ends the tokens and sessions of a subject whose meta has all of these pairs. Unlike an event for the whole subject, the events name the
 * tokens, so tokens that are not in the registry at this moment stay as they are. Any client of Redis can remove the meta of a
 * token, so tokens without one are counted.
 */
export async function revokeSelected(
  ports: Administration,
  policy: EventPolicy,
  { sub, where }: { sub: string; where: TokenMeta },
  { reason, dryRun }: RevocationOptions,
): Promise<RevocationOutcome> {
  const { registry, clock } = ports;
  const now = clock.now();
  const { single, families, sessions, revoked, withoutMeta } = await select(registry, { sub, where }, now);
  const nothing = { alreadyGone: 0, replicasConfirmed: 0, complete: true, missed: [], eventId: null };
  const outcome = { ...nothing, withoutMeta };
  if (dryRun) return { ...outcome, revoked, sessions };

  const named = [...single.map(({ jti, iat }) => ({ sub, jti, iat })), ...families.values()];
  let eventId: number | null = null;
  for (let from = 0; from < named.length; from += MOST_NAMED)
    eventId = await record(ports, policy, named.slice(from, from + MOST_NAMED), reason);

  return afterRecord(async () => {
    let revoked = 0;
    let sessions = 0;
    let replicasConfirmed = 0;
    const most = single.slice(0, -1);
    if (most.length > 0) {
      const { removed, failure } = await registry.removeEntries([{ sub, entries: most }], now);
      if (failure !== null) throw failure;
      revoked += removed;
    }
    // A replica that confirms the last removal has the earlier ones, too.
    const last = single.slice(-1).map(({ jti }) => ({ jti }));
    const sessionsOf = families.size > 0 ? [{ families: [...families.keys()] }] : [];
    for (const filter of [...last, ...sessionsOf]) {
      const removal = await registry.remove(sub, filter, now);
      revoked += removal.removed;
      sessions += removal.families;
      replicasConfirmed = removal.replicasConfirmed ?? replicasConfirmed;
    }
    return { ...outcome, revoked, sessions, replicasConfirmed, eventId };
  });
}

interface Selected {
  /** Tokens outside sessions. */
  single: EntryName[];
  /** One token of each session. */
  families: Map<string, NamedToken>;
  sessions: number;
  /** The number of tokens, with all of the sessions. */
  revoked: number;
  withoutMeta: number;
}

/** Keeps only selected tokens in memory, and any number of them, because a revocation must find all. */
async function select(
  registry: Pick<FamilyStore & RegistryScanner, 'familyPages' | 'scan'>,
  { sub, where }: { sub: string; where: TokenMeta },
  now: number,
): Promise<Selected> {
  const single: EntryName[] = [];
  const families = new Map<string, NamedToken>();
  const forEach = (onEntry: (entry: ScannedEntry) => void) =>
    registry.scan(
      (parts) => {
        for (const { entries } of parts) for (const entry of entries) onEntry(entry);
      },
      { now, sub, withDetails: true },
    );
  await forEach(({ jti, keyId, iat, meta }) => {
    if (!hasMeta(meta, where)) return;
    const family = familyOf(jti);
    if (family === null) single.push({ jti, keyId, iat });
    else families.set(family, { sub, jti, iat });
  });
  const sessions = new Set<string>();
  for await (const page of registry.familyPages(sub, now)) {
    for (const { family, counter, iat, meta } of page) {
      if (!families.has(family) && !hasMeta(meta, where)) continue;
      families.set(family, { sub, jti: familyJti(family, counter), iat });
      sessions.add(family);
    }
  }
  const counts = { revoked: single.length, withoutMeta: 0 };
  await forEach(({ jti, meta }) => {
    if (families.has(familyOf(jti) ?? '')) counts.revoked += 1;
    else if (meta === null) counts.withoutMeta += 1;
  });
  return { single, families, sessions: sessions.size, ...counts };
}

function record(
  { database, clock, actor }: Administration,
  policy: EventPolicy,
  tokens: readonly NamedToken[],
  reason: string | null,
): Promise<number | null> {
  return database.transaction(async ({ keys, securityLog, auditLog }) => {
    const at = clock.now();
    const longest = await keys.longestLifetimes();
    const { names, eventId } = await nameTokens({ securityLog }, policy, tokens, { longest, reason, at });
    await auditLog.append(
      ...names.map((name) => ({ at, actor, action: 'token.revoke', ...name, outcome: 'done', reason })),
    );
    return eventId;
  });
}
