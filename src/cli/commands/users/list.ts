import type { Action, DefineCommand } from '../../invocation.js';
import { userList } from '../../output/views/users.js';
import { addListFlags, type ListFlags, listOutcome } from '../shared/list-flags.js';

export const defineList: DefineCommand = (group, run) => {
  addListFlags(group.command('list'), 'sub or name')
    .description('List the users.')
    .examples('jwtctl users list', 'jwtctl users list --search example.com --limit 20')
    .action(run(list));
};

const list: Action<ListFlags, []> = async ({ context: open, globals }, flags) => {
  const context = await open({ migratesEmbedded: false });
  const isManaged = context.settings.users.source === 'managed';
  const empty = isManaged ? 'There are no users. Run `jwtctl users add`.' : 'There are no users to list.';
  const users = (await context.users()).list(flags.search);
  return listOutcome(userList(users, context.clock.now(), empty), flags, globals, []);
};
