import type { SecurityLog } from '../ports/index.js';
import { JwtctlError } from '../shared/errors.js';

const EVENTS_AT_ONCE = 1_000;
const MOST_EVENTS = 100_000;

/** Ignores failures: a later run removes the rest. Returns a warning if the account may not delete. */
export async function clearExpiredEvents(log: Pick<SecurityLog, 'clearExpired'>): Promise<string | null> {
  try {
    for (let cleared = 0; cleared < MOST_EVENTS; cleared += EVENTS_AT_ONCE) {
      if ((await log.clearExpired(EVENTS_AT_ONCE)) < EVENTS_AT_ONCE) break;
    }
  } catch (error) {
    if (!(error instanceof JwtctlError) || error.kind !== 'unavailable') throw error;
    if (error.code === 'ERR_MYSQL_FORBIDDEN')
      return `Expired events remain in the security log because this account cannot delete them. Grant the account DELETE on the table security_log, or run \`jwtctl cache reconcile\` with an account that has this privilege.`;
  }
  return null;
}
