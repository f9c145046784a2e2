import { type Command, Option } from 'commander';
import type { Context } from '../../../app/context.js';
import { parseSubject } from '../../../domain/model/subject.js';
import type { UserStatus } from '../../../domain/ports/index.js';
import { parseReason, parseUserName } from '../../../domain/shared/text.js';
import { addUser, found, removeUser, setUserStatus } from '../../../domain/users/manage.js';
import type { Action, DefineGroup } from '../../invocation.js';
import { pluralize } from '../../output/pluralize.js';
import { removedUser, userList, userRecord } from '../../output/views/users.js';
import { examples } from '../shared/examples.js';
import { afterFleet, type FleetFlags, waitFleetOption } from '../shared/fleet-wait.js';
import { lifetimePolicy } from '../shared/lifetime-policy.js';
import { assertManaged } from '../shared/managed-users.js';
import { importUsers } from './import.js';

export const defineUsers: DefineGroup = (group, run) => {
  group
    .command('add')
    .argument('<sub>', 'the subject: 1 to 255 bytes, compared byte for byte')
    .option('--name <text>', 'a name for people', parseUserName)
    .description('add an enabled user')
    .addHelpText('after', examples('jwtctl users add alice', "jwtctl users add 4711 --name 'Alice Doe'"))
    .action(run(add));

  group
    .command('list')
    .description('list all users')
    .addHelpText('after', examples('jwtctl users list', 'jwtctl users list -o ndjson'))
    .action(run(list));

  group
    .command('show')
    .argument('<sub>')
    .description('show one user')
    .addHelpText('after', examples('jwtctl users show alice', 'jwtctl users show alice --json'))
    .action(run(show));

  withReason(group.command('disable').argument('<sub>'))
    .addOption(waitFleetOption())
    .description('refuse all tokens of a user from now on, until the user is enabled again')
    .addHelpText(
      'after',
      examples(
        'jwtctl users disable alice --wait-fleet',
        "jwtctl users disable alice --reason 'lost laptop'",
      ),
    )
    .action(run(changeStatus('disabled')));

  withReason(group.command('enable').argument('<sub>'))
    .description('accept the tokens of a user again, but those that were revoked')
    .addHelpText('after', examples('jwtctl users enable alice', 'jwtctl users enable alice --json'))
    .action(run(changeStatus('enabled')));

  withReason(group.command('remove').argument('<sub>'))
    .addOption(waitFleetOption())
    .description('remove a user and revoke all of their tokens')
    .addHelpText(
      'after',
      examples('jwtctl users remove alice --wait-fleet', 'jwtctl users remove alice --dry-run'),
    )
    .action(run(remove));

  group
    .command('import')
    .argument('<file>', 'CSV with the columns sub and optionally name, or NDJSON; - for standard input')
    .addOption(
      new Option('--format <format>', 'default: by the name of the file, else by how it begins').choices([
        'csv',
        'ndjson',
      ]),
    )
    .description('add many users; those that exist stay as they are')
    .addHelpText('after', examples('jwtctl users import users.csv', 'jwtctl users import - --format ndjson'))
    .action(run(importUsers));
};

function withReason(command: Command): Command {
  return command.option('--reason <text>', 'why, for the security log and the audit log', parseReason);
}

const add: Action<{ name?: string }, [string]> = async ({ context: open, globals }, flags, sub) => {
  const input = { sub: parseSubject(sub), name: flags.name ?? null, dryRun: globals.dryRun };
  const context = await open();
  assertManaged(context);
  const { clock, actor } = context;
  const database = await context.database(globals.dryRun ? 'pretend' : 'create');
  return { view: userRecord(await addUser({ database, clock, actor }, input), clock.now(), globals.dryRun) };
};

const list: Action<object, []> = async ({ context: open }) => {
  const context = await open();
  const isManaged = context.settings.users.source === 'managed';
  const empty = isManaged ? 'There are no users. Run `jwtctl users add`.' : 'There are no users to list.';
  return { view: userList((await context.users()).list(), context.clock.now(), empty) };
};

const show: Action<object, [string]> = async ({ context: open }, _flags, sub) => {
  const context = await open();
  const user = found(await (await context.users()).find(parseSubject(sub)), sub);
  return { view: userRecord(user, context.clock.now()) };
};

function changeStatus(status: UserStatus): Action<{ reason?: string } & FleetFlags, [string]> {
  return async (invocation, flags, sub) => {
    const { context: open, globals } = invocation;
    const input = { sub: parseSubject(sub), status, reason: flags.reason ?? null, dryRun: globals.dryRun };
    const context = await open();
    assertManaged(context);
    const { user, eventId } = await setUserStatus(await context.administration(), policyOf(context), input);
    const view = userRecord(user, context.clock.now(), globals.dryRun);
    return afterFleet(invocation, flags, eventId, { view });
  };
}

const remove: Action<{ reason?: string } & FleetFlags, [string]> = async (invocation, flags, sub) => {
  const { context: open, globals } = invocation;
  const input = { sub: parseSubject(sub), reason: flags.reason ?? null, dryRun: globals.dryRun };
  const context = await open();
  assertManaged(context);
  const { user, revoked, eventId } = await removeUser(
    await context.administration(),
    policyOf(context),
    input,
  );
  const done = globals.dryRun ? 'Would remove this user and revoke' : 'Removed this user and revoked';
  return afterFleet(invocation, flags, eventId, {
    view: removedUser(user, revoked, context.clock.now(), globals.dryRun),
    notes: [`${done} ${pluralize(revoked, 'token')}.`],
  });
};

function policyOf({ settings }: Context) {
  return { ...lifetimePolicy(settings), statusTtlSeconds: settings.users.statusTtl };
}
