import { parseSubject } from '../../../domain/model/subject.js';
import { refreshUser } from '../../../domain/users/refresh.js';
import type { Action, DefineCommand } from '../../invocation.js';
import { refreshedUser } from '../../output/views/users.js';
import { afterFleet, type FleetFlags, waitFleetOption } from '../shared/fleet-wait.js';
import { userPolicy } from '../shared/lifetime-policy.js';
import { assertHasUsers } from '../shared/managed-users.js';

export const defineRefresh: DefineCommand = (group, run) => {
  group
    .command('refresh')
    .argument('<sub>', 'subject')
    .description(
      'Make verifiers read a user from your own table again.\n\nVerifiers then see a changed row at once, not only after users.statusTtl. Managed users need no refresh.',
    )
    .addOption(waitFleetOption())
    .examples('jwtctl users refresh alice', 'jwtctl users refresh alice --wait-fleet')
    .action(run(refresh));
};

const refresh: Action<FleetFlags, [string]> = async (invocation, flags, sub) => {
  const { context: open, globals } = invocation;
  const subject = parseSubject(sub);
  const context = await open();
  assertHasUsers(context);
  const [administration, users] = await Promise.all([context.administration(), context.users()]);
  const isManaged = context.settings.users.source === 'managed';
  const { eventId, ...refreshed } = await refreshUser(
    { ...administration, users },
    userPolicy(context.settings),
    { sub: subject, isManaged, dryRun: globals.dryRun },
  );
  const view = refreshedUser(refreshed, globals.dryRun);
  return isManaged ? { view } : afterFleet(invocation, flags, eventId, { view });
};
