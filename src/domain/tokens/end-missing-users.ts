import type { EventPolicy } from '../model/lifetime.js';
import type { User } from '../ports/index.js';
import { appendOnce, eventExpiry } from '../security-log/record.js';
import { JwtctlError } from '../shared/errors.js';
import { ifReachable } from '../shared/unavailable.js';
import type { FamilyEndPorts } from './end-family.js';
import type { Draft } from './issue-drafts.js';

/**
 * Ends the tokens and sessions of subjects whose session is refreshed while they have no user, so that a later user with
 * the same name inherits none. Not every user directory records removals.
 * @returns why the sessions of a subject could not be ended
 */
export async function endMissingUsers(
  ports: FamilyEndPorts,
  policy: EventPolicy,
  drafts: readonly Draft[],
  users: ReadonlyMap<string, User>,
  /** A time before the users were read: a user who was added since keeps what was issued since. */
  issuedBefore: number,
): Promise<Map<string, JwtctlError>> {
  const missing = drafts.filter(({ last, request }) => last !== undefined && !users.has(request.sub));
  const failures = new Map<string, JwtctlError>();
  for (const [sub, { actor = ports.actor }] of new Map(missing.map((draft) => [draft.request.sub, draft]))) {
    await endSubject({ ...ports, actor }, policy, { sub, issuedBefore }).catch((error) => {
      if (!(error instanceof JwtctlError)) throw error;
      failures.set(sub, error);
    });
  }
  return failures;
}

async function endSubject(
  { database, registry, clock, actor }: FamilyEndPorts,
  policy: EventPolicy,
  { sub, issuedBefore }: { sub: string; issuedBefore: number },
): Promise<void> {
  const reason = 'The user does not exist.';
  await database.transaction(async ({ keys, securityLog, auditLog }) => {
    const at = clock.now();
    const expiry = eventExpiry(await keys.longestLifetimes(), policy, at);
    const event = { type: 'subject_revoked', sub, issuedBefore, reason, at, ...expiry } as const;
    await appendOnce(securityLog, event);
    await auditLog.append({ at, actor, action: 'token.refresh', target: sub, outcome: 'no user', reason });
  });
  await ifReachable(() => registry.remove(sub, { issuedBefore }, clock.now()), null);
}
