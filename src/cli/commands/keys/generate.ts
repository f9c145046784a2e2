import { Option } from 'commander';
import { generateKeys, planGeneration } from '../../../domain/keys/generate.js';
import { parseKid } from '../../../domain/model/kid.js';
import { SIGNING_ALGORITHMS, type SigningAlgorithm } from '../../../domain/model/signing-key.js';
import { JwtctlError } from '../../../domain/shared/errors.js';
import type { Action, DefineCommand } from '../../invocation.js';
import { generationPlan, keyList, keyRecord } from '../../output/views/keys/signing-key.js';
import { integerFlag } from '../shared/flags.js';

export const defineGenerate: DefineCommand = (group, run) => {
  group
    .command('generate')
    .description(
      'Generate a signing key.\n\nThe first key of a store signs at once. Later keys are pending: `keys rotate` or `keys activate` makes them active.',
    )
    .option('--kid <kid>', 'key ID (default: the RFC 7638 thumbprint of the key)', parseKid)
    .addOption(
      new Option('--alg <alg>', 'signature algorithm (default: keys.algorithm)').choices(SIGNING_ALGORITHMS),
    )
    .option(
      '--bits <n>',
      'modulus length, from 2048 to 8192 (default: keys.bits)',
      integerFlag('--bits', 2048, 8192),
    )
    .option('--count <n>', 'number of keys, from 1 to 100 (default: 1)', integerFlag('--count', 1, 100))
    .examples('jwtctl keys generate', 'jwtctl keys generate --kid 2026-q1 --alg PS256')
    .action(run(generate));
};

const generate: Action<{ kid?: string; alg?: SigningAlgorithm; bits?: number; count?: number }, []> = async (
  { context: open, globals, signal },
  flags,
) => {
  if (flags.kid !== undefined && (flags.count ?? 1) > 1) {
    throw new JwtctlError('ERR_FLAG_COMBINATION', '--kid cannot be combined with a --count above 1.');
  }
  const context = await open();
  const { settings, actor } = context;
  const input = {
    kid: flags.kid,
    alg: flags.alg ?? settings.keys.algorithm,
    bits: flags.bits ?? settings.keys.bits,
    count: flags.count ?? 1,
    maxTtlSeconds: settings.token.maxTtl,
    signal,
  };
  const database = await context.database(globals.dryRun ? 'pretend' : 'create');
  if (globals.dryRun) {
    await (await context.sealer()).assertSeals();
    return { view: generationPlan(await planGeneration(database, input)) };
  }

  const [clock, sealer, generator] = await Promise.all([
    context.databaseClock(),
    context.sealer(),
    context.generator(),
  ]);
  const keys = await generateKeys({ database, sealer, generator, clock, actor }, input);
  const [only] = keys;
  const now = clock.now();
  return {
    view: flags.count === undefined && only !== undefined ? keyRecord(only, now) : keyList(keys, now),
  };
};
