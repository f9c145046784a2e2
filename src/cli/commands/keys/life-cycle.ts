import type { Command } from 'commander';
import { activateKey } from '../../../domain/keys/activate.js';
import { type CompromiseReport, compromiseKey } from '../../../domain/keys/compromise.js';
import { requireKey } from '../../../domain/keys/find-key.js';
import { findPurgeable, purgeKeys } from '../../../domain/keys/purge.js';
import { retireKey } from '../../../domain/keys/retire.js';
import { countKeyUsage } from '../../../domain/keys/usage.js';
import { parseKid } from '../../../domain/model/kid.js';
import { asSentence, parseReason } from '../../../domain/shared/text.js';
import type { Action, Run } from '../../invocation.js';
import { EXIT } from '../../output/exit-code.js';
import { pluralize } from '../../output/pluralize.js';
import { compromiseReport, isComplete, whatIsMissing } from '../../output/views/key-compromise.js';
import { purgeReport } from '../../output/views/key-custody.js';
import { keyUsageReport } from '../../output/views/key-usage.js';
import { keyRecord, NOT_PRE_PUBLISHED, stragglerWarnings } from '../../output/views/keys.js';
import { examples } from '../shared/examples.js';
import { durationFlag } from '../shared/flags.js';
import { afterFleet, type FleetFlags, waitFleetOption } from '../shared/fleet-wait.js';
import { lifetimePolicy } from '../shared/lifetime-policy.js';

/** The verbs that move a single key on, and the one that tells when that can be done. */
export function defineKeyLifeCycle(group: Command, run: Run): void {
  group
    .command('activate')
    .argument('<kid>')
    .option(
      '--now',
      'even if the key has not been published for keys.publishLead, or a verifier that runs has not loaded it',
    )
    .description('let a pending key sign in place of the active one')
    .addHelpText('after', examples('jwtctl keys activate 2026-q2', 'jwtctl keys activate 2026-q2 --dry-run'))
    .action(run(activate));

  group
    .command('usage')
    .option('--kid <kid>', 'only this key', parseKid)
    .description('count the live tokens under each key, over the whole registry')
    .addHelpText('after', examples('jwtctl keys usage', 'jwtctl keys usage --kid 2026-q1 --json'))
    .action(run(usage));

  group
    .command('retire')
    .argument('<kid>')
    .option('--force', 'although tokens live under the key: they are refused from then on')
    .description(
      'end a key that signs no more: it verifies nothing from then on, and its private key is wiped',
    )
    .addHelpText('after', examples('jwtctl keys retire 2026-q1', 'jwtctl keys retire 2026-q1 --force'))
    .action(run(retire));

  group
    .command('compromise')
    .argument('<kid>')
    .requiredOption('--reason <text>', 'what happened, for the security log and the audit log', parseReason)
    .addOption(waitFleetOption())
    .description(
      'end a leaked key: it is refused at once, another one signs, every token under it is removed, and it is shown that none is left',
    )
    .addHelpText(
      'after',
      examples(
        "jwtctl keys compromise 2026-q1 --reason 'found in a public repository'",
        'jwtctl keys compromise 2026-q1 --reason leaked --dry-run',
      ),
    )
    .action(run(compromise));

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
}

const activate: Action<{ now?: true }, [string]> = async ({ context: open, globals }, flags, kid) => {
  const context = await open();
  const { settings, actor } = context;
  const [database, clock, sealer, generator] = await Promise.all([
    context.database(),
    context.databaseClock(),
    context.sealer(),
    context.generator(),
  ]);
  const { dryRun } = globals;
  if (!dryRun) await (await context.guard()).assertCurrent();
  const activation = await activateKey(
    { database, openRegistry: context.registry, sealer, generator, clock, actor },
    {
      kid,
      policy: { ...lifetimePolicy(settings), publishLeadSeconds: settings.keys.publishLead },
      now: flags.now === true,
      alg: settings.keys.algorithm,
      bits: settings.keys.bits,
      dryRun,
    },
  );
  const { key, isNotPrePublished, published } = activation;
  return {
    view: keyRecord(key, clock.now(), dryRun),
    warnings: dryRun ? [] : stragglerWarnings(kid, activation, null),
    notes: [
      ...(isNotPrePublished && !dryRun ? [NOT_PRE_PUBLISHED] : []),
      ...(published === null ? [] : [`Key ${published} is published, and signs next.`]),
    ],
  };
};

const usage: Action<{ kid?: string }, []> = async ({ context: open, signal, withProgress }, flags) => {
  const context = await open();
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
    warnings: report.missed.map((missed) => asSentence(`Not seen: ${missed}`)),
  };
};

const compromise: Action<{ reason: string } & FleetFlags, [string]> = async (invocation, flags, kid) => {
  const { context: open, globals, signal, withProgress } = invocation;
  const context = await open();
  const { settings, actor } = context;
  const [database, clock, sealer, generator] = await Promise.all([
    context.database(),
    context.databaseClock(),
    context.sealer(),
    context.generator(),
  ]);
  const { dryRun } = globals;
  const report = await withProgress(dryRun ? 'Counting' : 'Removing, then counting', (onProgress) =>
    compromiseKey(
      { database, openRegistry: context.registry, sealer, generator, clock, actor },
      {
        kid,
        reason: flags.reason,
        policy: { ...lifetimePolicy(settings), publishLeadSeconds: settings.keys.publishLead },
        alg: settings.keys.algorithm,
        bits: settings.keys.bits,
        dryRun,
        signal,
        onProgress,
      },
    ),
  );
  return afterFleet(invocation, flags, report.eventId, {
    view: compromiseReport(report, dryRun),
    exitCode: isComplete(report, dryRun) ? EXIT.done : EXIT.partial,
    notes: dryRun ? [] : compromiseNotes(report),
    warnings: compromiseWarnings(report, dryRun),
  });
};

function compromiseNotes(report: CompromiseReport): string[] {
  return [
    ...(report.isNotPrePublished && report.active !== null ? [NOT_PRE_PUBLISHED] : []),
    'A verifier that knows nothing but a JWK Set trusts the key until it fetches the set again.',
  ];
}

function compromiseWarnings(report: CompromiseReport, dryRun: boolean): string[] {
  const missing = whatIsMissing(report).map((missed) =>
    asSentence(`${dryRun ? 'Not seen' : 'Not done'}: ${missed}`),
  );
  if (dryRun || missing.length === 0) return missing;
  return [
    ...missing,
    ...(report.unopened === null
      ? []
      : ['Put its master key on the keyring, or run `jwtctl keys rotate --now` for a key that opens here.']),
    'The key is refused all the same. Run the same command again when all answers: it does what is left.',
  ];
}

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
