import { activateKey } from '../../../domain/keys/activate.js';
import type { Action, DefineCommand } from '../../invocation.js';
import { NOT_PRE_PUBLISHED, stragglerWarnings } from '../../output/views/keys/rotation.js';
import { keyRecord } from '../../output/views/keys/signing-key.js';
import { keyPorts } from '../shared/key-ports.js';
import { lifetimePolicy } from '../shared/lifetime-policy.js';

export const defineActivate: DefineCommand = (group, run) => {
  group
    .command('activate')
    .argument('<kid>', 'key ID')
    .description(
      'Make a pending key the active one.\n\nThe previous key no longer signs, but keeps verifying its tokens until they expire.',
    )
    .option(
      '--now',
      'activate the key even if its publish lead (keys.publishLead) is not over, running verifiers have not loaded it, or keys.publishUrl does not show it',
    )
    .examples('jwtctl keys activate 2026-q2', 'jwtctl keys activate 2026-q2 --dry-run')
    .action(run(activate));
};

const activate: Action<{ now?: true }, [string]> = async ({ context: open, globals }, flags, kid) => {
  const context = await open();
  const { settings } = context;
  const ports = await keyPorts(context);
  const { dryRun } = globals;
  await (await context.guard()).assertCurrent();
  const activation = await activateKey(ports, {
    kid,
    policy: { ...lifetimePolicy(settings), publishLeadSeconds: settings.keys.publishLead },
    now: flags.now === true,
    alg: settings.keys.algorithm,
    bits: settings.keys.bits,
    dryRun,
  });
  const { key, isNotPrePublished, published } = activation;
  return {
    view: keyRecord(key, ports.clock.now(), dryRun),
    warnings: dryRun ? [] : stragglerWarnings(kid, activation, null),
    notes: [
      ...(isNotPrePublished && !dryRun ? [NOT_PRE_PUBLISHED] : []),
      ...(published === null ? [] : [`Key ${published} is published and will sign next.`]),
    ],
  };
};
