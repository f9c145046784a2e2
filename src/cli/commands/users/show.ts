import { parseSubject } from '../../../domain/model/subject.js';
import { found } from '../../../domain/users/manage.js';
import type { Action, DefineCommand } from '../../invocation.js';
import { userRecord } from '../../output/views/users.js';

export const defineShow: DefineCommand = (group, run) => {
  group
    .command('show')
    .argument('<sub>', 'subject')
    .description('Show one user.')
    .examples('jwtctl users show alice', 'jwtctl users show alice --json')
    .action(run(show));
};

const show: Action<object, [string]> = async ({ context: open }, _flags, sub) => {
  const context = await open({ migratesEmbedded: false });
  const user = found(await (await context.users()).find(parseSubject(sub)), sub);
  return { view: userRecord(user, context.clock.now()) };
};
