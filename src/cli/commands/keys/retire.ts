import { retireKey } from '../../../domain/keys/retire.js';
import type { Action, DefineCommand } from '../../invocation.js';
import { keyRecord } from '../../output/views/keys.js';
import { examples } from '../shared/examples.js';
import { lifetimePolicy } from '../shared/lifetime-policy.js';

export const defineRetire: DefineCommand = (group, run) => {
  group
    .command('retire')
    .argument('<kid>')
    .option('--force', 'although tokens live under the key: they are refused from then on')
    .description(
      'end a key that signs no more: it verifies nothing from then on, and its private key is wiped',
    )
    .addHelpText('after', examples('jwtctl keys retire 2026-q1', 'jwtctl keys retire 2026-q1 --force'))
    .action(run(retire));
};

const retire: Action<{ force?: true }, [string]> = async (
  { context: open, globals, signal, withProgress },
  flags,
  kid,
) => {
  const context = await open();
  const ports = await context.administration();
  const { clockToleranceSeconds } = lifetimePolicy(context.settings);
  const input = { kid, force: flags.force === true, dryRun: globals.dryRun, clockToleranceSeconds, signal };
  const key = await withProgress('Counting', (onProgress) => retireKey(ports, { ...input, onProgress }));
  return { view: keyRecord(key, context.clock.now(), globals.dryRun) };
};
