import { parseSubject } from '../../../domain/model/subject.js';
import { pluralize } from '../../../domain/shared/pluralize.js';
import { ifReachable } from '../../../domain/shared/unavailable.js';
import { found, removeUser } from '../../../domain/users/manage.js';
import type { Action, DefineCommand } from '../../invocation.js';
import { removedUser } from '../../output/views/users.js';
import { confirmEnding, countOfSubject } from '../shared/confirm-ending.js';
import { afterFleet, type FleetFlags, waitFleetOption } from '../shared/fleet-wait.js';
import { userPolicy } from '../shared/lifetime-policy.js';
import { assertManaged } from '../shared/managed-users.js';
import { reasonOption } from '../shared/reason-option.js';

export const defineRemove: DefineCommand = (group, run) => {
  group
    .command('remove')
    .argument('<sub>', 'subject')
    .description("Remove a user and revoke the user's tokens. Asks for confirmation.")
    .addOption(reasonOption())
    .addOption(waitFleetOption())
    .examples('jwtctl users remove alice --wait-fleet', 'jwtctl users remove alice --dry-run')
    .action(run(remove));
};

const remove: Action<{ reason?: string } & FleetFlags, [string]> = async (invocation, flags, sub) => {
  const { context: open, globals } = invocation;
  const input = { sub: parseSubject(sub), reason: flags.reason ?? null };
  const context = await open();
  assertManaged(context);
  const ports = await context.administration();
  const removing = (dryRun: boolean) => removeUser(ports, userPolicy(context.settings), { ...input, dryRun });
  found(await ports.database.users.find(input.sub), input.sub);
  const count = async () =>
    countOfSubject(ports.registry, input, (await removing(true)).revoked, ports.clock.now());
  await confirmEnding(
    invocation,
    `Remove user ${JSON.stringify(input.sub)}?`,
    () => ifReachable(count, null),
    { always: true },
  );
  const { user, revoked, eventId } = await removing(globals.dryRun);
  const done = globals.dryRun ? 'Would remove this user and revoke' : 'Removed this user and revoked';
  return afterFleet(invocation, flags, eventId, {
    view: removedUser(user, revoked, context.clock.now(), globals.dryRun),
    notes: [`${done} ${pluralize(revoked, 'token')}.`],
  });
};
