import { parseSubject } from '../../../domain/model/subject.js';
import type { Action, DefineCommand } from '../../invocation.js';
import { tokenList } from '../../output/views/tokens.js';

export const defineList: DefineCommand = (group, run) => {
  group
    .command('list')
    .description('List the live tokens of a subject.')
    .requiredOption('--sub <sub>', 'subject')
    .examples('jwtctl token list --sub alice', 'jwtctl token list --sub alice -q')
    .action(run(list));
};

const list: Action<{ sub: string }, []> = async (invocation, flags) => {
  const sub = parseSubject(flags.sub);
  const context = await invocation.context();
  const { database, registry, clock } = await context.administration();
  const now = clock.now();
  const [entries, { keys }] = await Promise.all([registry.list(sub, now), database.keys.snapshot()]);
  const kids = new Map(keys.map((key) => [key.id, key.kid]));
  return {
    view: tokenList(
      entries.map((entry) => ({ ...entry, kid: kids.get(entry.keyId) ?? null })),
      sub,
      now,
    ),
  };
};
