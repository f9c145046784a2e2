import { retireKey } from '../../../domain/keys/retire.js';
import type { Action, DefineCommand } from '../../invocation.js';
import { keyRecord } from '../../output/views/keys/signing-key.js';
import { lifetimePolicy } from '../shared/lifetime-policy.js';

export const defineRetire: DefineCommand = (group, run) => {
  group
    .command('retire')
    .argument('<kid>', 'key ID')
    .description(
      'Retire a key that no longer signs.\n\nThe key no longer verifies tokens, and its private key is wiped. Fails if live tokens use the key, unless --force is given.',
    )
    .option('--force', 'retire the key even if live tokens use it; they are refused from then on')
    .examples('jwtctl keys retire 2026-q1', 'jwtctl keys retire 2026-q1 --force')
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
