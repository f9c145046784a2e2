import type { Administration, UserDirectory, UserStatus } from '../ports/index.js';
import { refreshExpiry } from '../security-log/record.js';
import type { UserAdministrationPolicy } from './manage.js';

export interface UserRefresh {
  sub: string;
  status: UserStatus | 'unknown';
  /** The event that makes verifiers read the user again; null if they need not. */
  eventId: number | null;
}

/**
 * Makes every verifier read a user of another program's table again. Records it before reading the user, so that
 * the returned status is what verifiers find.
 */
export async function refreshUser(
  ports: Administration & { users: UserDirectory },
  policy: UserAdministrationPolicy,
  { sub, isManaged, dryRun }: { sub: string; isManaged: boolean; dryRun: boolean },
): Promise<UserRefresh> {
  const { database, users, clock, actor } = ports;
  const eventId =
    isManaged || dryRun
      ? null
      : await database.transaction(async (stores) => {
          const at = clock.now();
          const expiresAt = refreshExpiry(policy, at);
          const id = await stores.securityLog.append({
            type: 'user_refreshed',
            sub,
            reason: null,
            at,
            expiresAt,
          });
          const row = { at, actor, action: 'users.refresh', target: sub, outcome: 'done', reason: null };
          await stores.auditLog.append(row);
          return id;
        });
  const user = await users.find(sub);
  return { sub, status: user?.status ?? 'unknown', eventId };
}
