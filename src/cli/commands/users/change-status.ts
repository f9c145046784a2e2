import { parseSubject } from '../../../domain/model/subject.js';
import type { UserStatus } from '../../../domain/ports/index.js';
import { setUserStatus } from '../../../domain/users/manage.js';
import type { Action } from '../../invocation.js';
import { userRecord } from '../../output/views/users.js';
import { afterFleet, type FleetFlags } from '../shared/fleet-wait.js';
import { userPolicy } from '../shared/lifetime-policy.js';
import { assertManaged } from '../shared/managed-users.js';

export function changeStatus(
  status: UserStatus,
): Action<{ for?: number; reason?: string } & FleetFlags, [string]> {
  return async (invocation, flags, sub) => {
    const { context: open, globals } = invocation;
    const input = {
      ...{ sub: parseSubject(sub), status, forSeconds: flags.for },
      ...{ reason: flags.reason ?? null, dryRun: globals.dryRun },
    };
    const context = await open();
    assertManaged(context);
    const { user, eventId } = await setUserStatus(
      await context.administration(),
      userPolicy(context.settings),
      input,
    );
    const view = userRecord(user, context.clock.now(), globals.dryRun);
    return afterFleet(invocation, flags, eventId, { view });
  };
}
