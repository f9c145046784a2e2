import { requireKey } from '../../../domain/keys/find-key.js';
import type { Action, DefineCommand } from '../../invocation.js';
import { keyRecordWithJwk } from '../../output/views/keys/signing-key.js';

export const defineShow: DefineCommand = (group, run) => {
  group
    .command('show')
    .argument('<kid>', 'key ID')
    .description('Show one key.\n\nWith --json, the output contains the public key as a JWK.')
    .examples('jwtctl keys show 2026-q1', 'jwtctl keys show 2026-q1 --json')
    .action(run(show));
};

const show: Action<object, [string]> = async ({ context: open }, _flags, kid) => {
  const context = await open({ migratesEmbedded: false });
  return { view: keyRecordWithJwk(await requireKey(await context.database(), kid), context.clock.now()) };
};
