import { findPurgeable, purgeKeys } from '../../../domain/keys/purge.js';
import { pluralize } from '../../../domain/shared/pluralize.js';
import type { Action, DefineCommand } from '../../invocation.js';
import { purgeReport } from '../../output/views/keys/custody.js';
import { durationFlag } from '../shared/flags.js';
import { lifetimePolicy } from '../shared/lifetime-policy.js';

export const definePurge: DefineCommand = (group, run) => {
  group
    .command('purge')
    .description(
      'Delete retired keys from the database.\n\nTheir key IDs and key pairs can then be imported again. Compromised keys stay on record. Asks for confirmation.',
    )
    .option(
      '--older-than <duration>',
      'delete only keys that were retired at least this long ago',
      durationFlag,
    )
    .examples('jwtctl keys purge --older-than 365d --yes', 'jwtctl keys purge --dry-run')
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
  if (purgeable.length > 0) {
    await confirm(
      `Delete ${pluralize(purgeable.length, 'retired key')}? Their key IDs and key pairs can then be imported again. This ends no valid tokens: tokens of retired keys are already refused.`,
    );
  }
  return { view: purgeReport(await purgeKeys(ports, purgeable, lifetimePolicy(context.settings)), false) };
};
