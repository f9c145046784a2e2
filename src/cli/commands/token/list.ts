import { parseSubject } from '../../../domain/model/subject.js';
import { hasMeta } from '../../../domain/model/token-meta.js';
import { listTokens } from '../../../domain/registry/list-tokens.js';
import type { Action, DefineCommand } from '../../invocation.js';
import { tokenList } from '../../output/views/tokens.js';
import { repeatedFlag } from '../shared/flags.js';
import { addListFlags, type ListFlags, listOutcome } from '../shared/list-flags.js';
import { parseNameValues } from '../shared/name-value.js';

export const defineList: DefineCommand = (group, run) => {
  addListFlags(group.command('list'), 'jti, kid, or meta')
    .description(
      'List the live tokens of a subject.\n\nA session that can be refreshed stays listed after its last access token has expired.',
    )
    .requiredOption('--sub <sub>', 'subject')
    .option('--where <name=value>', 'only tokens whose meta has this pair; can be repeated', repeatedFlag)
    .examples('jwtctl token list --sub alice', 'jwtctl token list --sub alice --where device=iPhone')
    .action(run(list));
};

const list: Action<ListFlags & { sub: string; where?: string[] }, []> = async (invocation, flags) => {
  const sub = parseSubject(flags.sub);
  const pairs = parseNameValues('--where', flags.where ?? []);
  const context = await invocation.context({ migratesEmbedded: false });
  const { database, registry, clock } = await context.administration();
  const now = clock.now();
  const { limit, search } = flags;
  // One more shows whether the list was cut.
  const most =
    limit === undefined || search !== undefined || Object.keys(pairs).length > 0 ? undefined : limit + 1;
  const [tokens, { keys }] = await Promise.all([
    listTokens(registry, sub, now, most),
    database.keys.snapshot(),
  ]);
  const kids = new Map(keys.map((key) => [key.id, key.kid]));
  const shown = tokens
    .filter(({ meta }) => hasMeta(meta, pairs))
    .map((token) => ({ ...token, kid: kids.get(token.keyId) ?? null }));
  return listOutcome(tokenList(shown, sub, now), flags, invocation.globals, ['jti', 'kid', 'meta']);
};
