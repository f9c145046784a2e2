import { familyOf } from '../model/family.js';
import type { EventPolicy } from '../model/lifetime.js';
import { hasMeta, type TokenMeta } from '../model/token-meta.js';
import type { Administration } from '../ports/index.js';
import { type ListedToken, listTokens } from '../registry/list-tokens.js';
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
  const tokens = await listTokens(registry, sub, now);
  const selected = select(tokens, where);
  const withoutMeta = tokens.filter((token) => token.meta === null && !selected.includes(token)).length;
  const families = [...new Set(selected.flatMap(({ jti }) => familyOf(jti) ?? []))];
  const single = selected.filter(({ jti }) => familyOf(jti) === null);
  const nothing = { alreadyGone: 0, replicasConfirmed: 0, complete: true, missed: [], eventId: null };
  const outcome = { ...nothing, withoutMeta };
  if (dryRun) {
    const revoked = selected.filter(({ exp }) => exp !== null).length;
    const sessions = selected.filter(({ refreshExp }) => refreshExp !== null).length;
    return { ...outcome, revoked, sessions };
  }

  const named = selected.map(({ jti, iat }) => ({ sub, jti, iat }));
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
    const sessionsOf = families.length > 0 ? [{ families }] : [];
    for (const filter of [...last, ...sessionsOf]) {
      const removal = await registry.remove(sub, filter, now);
      revoked += removal.removed;
      sessions += removal.families;
      replicasConfirmed = removal.replicasConfirmed ?? replicasConfirmed;
    }
    return { ...outcome, revoked, sessions, replicasConfirmed, eventId };
  });
}

/** Returns the selected tokens, with all tokens of their sessions. */
function select(tokens: readonly ListedToken[], where: TokenMeta): ListedToken[] {
  const matching = tokens.filter(({ meta }) => hasMeta(meta, where));
  const families = new Set(matching.map(({ jti }) => familyOf(jti) ?? jti));
  return tokens.filter(({ jti }) => families.has(familyOf(jti) ?? jti));
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
