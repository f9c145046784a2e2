import { familyOf } from '../model/family.js';
import type { EventPolicy } from '../model/lifetime.js';
import type { Administration } from '../ports/index.js';
import { type ListedToken, listTokens } from '../registry/list-tokens.js';
import { MOST_NAMED, type NamedToken, nameTokens } from '../security-log/name-tokens.js';
import { afterRecord } from '../security-log/record.js';

export interface OthersOutcome {
  revoked: number;
  sessions: number;
}

/**
 * Ends every token and session of a subject except the token `except` and its session. Unlike an event for the whole
 * subject, the events name the tokens, so tokens that are not in the registry at this moment stay as they are.
 */
export async function revokeOthers(
  ports: Administration,
  policy: EventPolicy,
  { sub, except }: { sub: string; except: string },
  { reason }: { reason: string | null },
): Promise<OthersOutcome> {
  const { registry, clock } = ports;
  const now = clock.now();
  const kept = familyOf(except);
  const isOther = ({ jti }: ListedToken) => (kept === null ? jti !== except : familyOf(jti) !== kept);
  const others = (await listTokens(registry, sub, now)).filter(isOther);
  const families = [...new Set(others.flatMap(({ jti }) => familyOf(jti) ?? []))];
  const single = others.filter(({ jti }) => familyOf(jti) === null);

  const tokens = others.map(({ jti, iat }) => ({ sub, jti, iat }));
  for (let from = 0; from < tokens.length; from += MOST_NAMED)
    await record(ports, policy, tokens.slice(from, from + MOST_NAMED), reason);

  return afterRecord(async () => {
    let revoked = 0;
    let sessions = 0;
    for (const family of families) {
      const removal = await registry.remove(sub, { family }, now);
      revoked += removal.removed;
      sessions += removal.families;
    }
    if (single.length > 0) {
      const { removed, failure } = await registry.removeEntries([{ sub, entries: single }], now);
      if (failure !== null) throw failure;
      revoked += removed;
    }
    return { revoked, sessions };
  });
}

function record(
  { database, clock, actor }: Administration,
  policy: EventPolicy,
  tokens: readonly NamedToken[],
  reason: string | null,
): Promise<void> {
  return database.transaction(async ({ keys, securityLog, auditLog }) => {
    const at = clock.now();
    const names = await nameTokens({ keys, securityLog }, policy, tokens, { reason, at });
    await auditLog.append(
      ...names.map((target) => ({ at, actor, action: 'token.revoke', target, outcome: 'done', reason })),
    );
  });
}
