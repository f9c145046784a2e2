import { parseNewSubject } from '../../../domain/model/subject.js';
import { parseUserName } from '../../../domain/shared/text.js';
import { addUser } from '../../../domain/users/manage.js';
import type { Action, DefineCommand } from '../../invocation.js';
import { userRecord } from '../../output/views/users.js';
import { assertManaged } from '../shared/managed-users.js';

export const defineAdd: DefineCommand = (group, run) => {
  group
    .command('add')
    .argument('<sub>', 'subject: 1 to 255 bytes of UTF-8, compared byte for byte')
    .description('Add an enabled user.')
    .option('--name <text>', 'display name', parseUserName)
    .examples('jwtctl users add alice', "jwtctl users add 4711 --name 'Alice Doe'")
    .action(run(add));
};

const add: Action<{ name?: string }, [string]> = async ({ context: open, globals }, flags, sub) => {
  const input = { sub: parseNewSubject(sub), name: flags.name ?? null, dryRun: globals.dryRun };
  const context = await open();
  assertManaged(context);
  const { clock, actor } = context;
  const database = await context.database(globals.dryRun ? 'pretend' : 'create');
  return { view: userRecord(await addUser({ database, clock, actor }, input), clock.now(), globals.dryRun) };
};
