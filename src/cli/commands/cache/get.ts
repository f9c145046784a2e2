import { requireKeyAmong } from '../../../domain/keys/find-key.js';
import { parseKid } from '../../../domain/model/kid.js';
import { parseSubject } from '../../../domain/model/subject.js';
import { findEntry } from '../../../domain/registry/find-entry.js';
import type { Action, DefineCommand } from '../../invocation.js';
import { registryEntry } from '../../output/views/registry-entry.js';
import { examples } from '../shared/examples.js';
import { momentFlag } from '../shared/flags.js';

export const defineGet: DefineCommand = (group, run) => {
  group
    .command('get')
    .requiredOption('--sub <sub>', 'whose token it is')
    .requiredOption('--jti <jti>', 'its id')
    .option('--kid <kid>', 'the key that signed it, where several tokens have this id', parseKid)
    .option('--iat <time>', 'when it was issued, where that is not enough', momentFlag('--iat'))
    .description('show one entry, and what is known of its key and its user')
    .addHelpText(
      'after',
      examples(
        'jwtctl cache get --sub alice --jti 8f14e45f',
        'jwtctl cache get --sub alice --jti 8f14e45f --json',
      ),
    )
    .action(run(get));
};

const get: Action<{ sub: string; jti: string; kid?: string; iat?: number }, []> = async (
  { context: open },
  { sub, jti, kid, iat },
) => {
  const wanted = { sub: parseSubject(sub), jti, ...(iat === undefined ? {} : { iat }) };
  const context = await open();
  const [{ database, registry }, users] = await Promise.all([context.administration(), context.users()]);
  const { keys } = await database.keys.snapshot();
  const now = context.clock.now();
  const found = await findEntry({ registry, users }, keys, {
    ...wanted,
    ...(kid === undefined ? {} : { key: requireKeyAmong(keys, kid) }),
    now,
  });
  return { view: registryEntry(found, now) };
};
