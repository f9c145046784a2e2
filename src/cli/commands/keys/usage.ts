import { requireKey } from '../../../domain/keys/find-key.js';
import { countKeyUsage } from '../../../domain/keys/usage.js';
import { parseKid } from '../../../domain/model/kid.js';
import { asSentence } from '../../../domain/shared/text.js';
import type { Action, DefineCommand } from '../../invocation.js';
import { EXIT } from '../../output/exit-code.js';
import { keyUsageReport } from '../../output/views/keys/usage.js';
import { lifetimePolicy } from '../shared/lifetime-policy.js';

export const defineUsage: DefineCommand = (group, run) => {
  group
    .command('usage')
    .description(
      'Count the live tokens of each key.\n\nReads the whole registry, and shows when each key can be retired.',
    )
    .option('--kid <kid>', 'count only the tokens of this key', parseKid)
    .examples('jwtctl keys usage', 'jwtctl keys usage --kid 2026-q1 --json')
    .action(run(usage));
};

const usage: Action<{ kid?: string }, []> = async ({ context: open, signal, withProgress }, flags) => {
  const context = await open({ migratesEmbedded: false });
  const { database, registry, clock } = await context.administration();
  const keys =
    flags.kid === undefined ? (await database.keys.snapshot()).keys : [await requireKey(database, flags.kid)];
  const policy = lifetimePolicy(context.settings);
  const report = await withProgress('Counting', (onProgress) =>
    countKeyUsage({ registry, clock }, keys, policy, { signal, onProgress }),
  );
  return {
    view: keyUsageReport(report, clock.now()),
    exitCode: report.complete ? EXIT.done : EXIT.partial,
    warnings: report.missed.map((missed) => asSentence(`Not read: ${missed}`)),
  };
};
