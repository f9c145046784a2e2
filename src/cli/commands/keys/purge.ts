import { findPurgeable, purgeKeys } from '../../../domain/keys/purge.js';
import type { Action, DefineCommand } from '../../invocation.js';
import { pluralize } from '../../output/pluralize.js';
import { purgeReport } from '../../output/views/key-custody.js';
import { examples } from '../shared/examples.js';
import { durationFlag } from '../shared/flags.js';
import { lifetimePolicy } from '../shared/lifetime-policy.js';

export const definePurge: DefineCommand = (group, run) => {
  group
    .command('purge')
    .option(
      '--older-than <duration>',
      'only keys that were retired so long ago; without it all of them, and it asks first',
      durationFlag,
    )
    .description(
      'remove the rows of retired keys, whose kids and material can then be imported again; compromised ones stay on record',
    )
    .addHelpText('after', examples('jwtctl keys purge --older-than 365d', 'jwtctl keys purge --dry-run'))
    .action(run(purge));
};

const purge: Action<{ olderThan?: number }, []> = async (
  { context: open, globals, confirm },
  { olderThan },
) => {
  const context = await open();
  const { actor } = context;
  const ports = { database: await context.database(), clock: await context.databaseClock(), actor };
  const purgeable = await findPurgeable(ports, olderThan);
  if (globals.dryRun) return { view: purgeReport(purgeable, true) };
  // With an age it is a line for cron, and says itself which keys are meant.
  if (olderThan === undefined && purgeable.length > 0) {
    await confirm(
      `Remove ${pluralize(purgeable.length, 'retired key')}? Their kids and their material can then be used again.`,
    );
  }
  return { view: purgeReport(await purgeKeys(ports, purgeable, lifetimePolicy(context.settings)), false) };
};
