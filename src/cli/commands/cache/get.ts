import { requireKeyAmong } from '../../../domain/keys/find-key.js';
import { parseKid } from '../../../domain/model/kid.js';
import { parseSubject } from '../../../domain/model/subject.js';
import { findEntry } from '../../../domain/registry/find-entry.js';
import type { Action, DefineCommand } from '../../invocation.js';
import { registryEntry } from '../../output/views/cache/get.js';
import { momentFlag } from '../shared/flags.js';

export const defineGet: DefineCommand = (group, run) => {
  group
    .command('get')
    .description('Show one registry entry with its key, user, and node.')
    .requiredOption('--sub <sub>', 'subject')
    .requiredOption('--jti <jti>', 'token ID')
    .option('--kid <kid>', 'signing key, if several tokens have this ID', parseKid)
    .option(
      '--iat <time>',
      'time of issue, if --kid is not enough (NumericDate or ISO 8601)',
      momentFlag('--iat'),
    )
    .examples(
      'jwtctl cache get --sub alice --jti 8f14e45f',
      'jwtctl cache get --sub alice --jti 8f14e45f --json',
    )
    .action(run(get));
};

const get: Action<{ sub: string; jti: string; kid?: string; iat?: number }, []> = async (
  { context: open },
  { sub, jti, kid, iat },
) => {
  const wanted = { sub: parseSubject(sub), jti, iat };
  const context = await open({ migratesEmbedded: false });
  const [{ database, registry }, users] = await Promise.all([context.administration(), context.users()]);
  const { keys } = await database.keys.snapshot();
  const now = context.clock.now();
  const found = await findEntry({ registry, users }, keys, {
    ...wanted,
    key: kid === undefined ? undefined : requireKeyAmong(keys, kid),
    now,
  });
  return { view: registryEntry(found, now) };
};
