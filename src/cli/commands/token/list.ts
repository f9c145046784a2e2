import { parseSubject } from '../../../domain/model/subject.js';
import { listTokens } from '../../../domain/registry/list-tokens.js';
import type { Action, DefineCommand } from '../../invocation.js';
import { tokenList } from '../../output/views/tokens.js';

export const defineList: DefineCommand = (group, run) => {
  group
    .command('list')
    .description(
      'List the live tokens of a subject. A session that can be refreshed stays listed after its last access token has expired.',
    )
    .requiredOption('--sub <sub>', 'subject')
    .examples('jwtctl token list --sub alice', 'jwtctl token list --sub alice -q')
    .action(run(list));
};

const list: Action<{ sub: string }, []> = async (invocation, flags) => {
  const sub = parseSubject(flags.sub);
  const context = await invocation.context();
  const { database, registry, clock } = await context.administration();
  const now = clock.now();
  const [tokens, { keys }] = await Promise.all([listTokens(registry, sub, now), database.keys.snapshot()]);
  const kids = new Map(keys.map((key) => [key.id, key.kid]));
  return {
    view: tokenList(
      tokens.map((token) => ({ ...token, kid: kids.get(token.keyId) ?? null })),
      sub,
      now,
    ),
  };
};
