import type { Action, DefineCommand } from '../../invocation.js';
import { userList } from '../../output/views/users.js';

export const defineList: DefineCommand = (group, run) => {
  group
    .command('list')
    .description('List all users.')
    .examples('jwtctl users list', 'jwtctl users list -o ndjson')
    .action(run(list));
};

const list: Action<object, []> = async ({ context: open }) => {
  const context = await open();
  const isManaged = context.settings.users.source === 'managed';
  const empty = isManaged ? 'There are no users. Run `jwtctl users add`.' : 'There are no users to list.';
  return { view: userList((await context.users()).list(), context.clock.now(), empty) };
};
