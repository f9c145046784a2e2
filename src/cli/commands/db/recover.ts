import type { Context } from '../../../app/context.js';
import { compromiseKey } from '../../../domain/keys/compromise.js';
import { findLosses, type Losses, lostCompromises, settle } from '../../../domain/recovery/recover.js';
import { JwtctlError } from '../../../domain/shared/errors.js';
import { pluralize } from '../../../domain/shared/pluralize.js';
import type { Action, DefineCommand } from '../../invocation.js';
import { EXIT } from '../../output/exit-code.js';
import { nothingToRecover, type RecoveryOutcome, recoveryReport } from '../../output/views/db/recover.js';
import { keyPorts } from '../shared/key-ports.js';
import { lifetimePolicy } from '../shared/lifetime-policy.js';

export const defineRecover: DefineCommand = (group, run) => {
  group
    .command('recover')
    .description(
      'Recover changes lost when the database was restored from a backup.\n\nWithout flags, shows the lost changes, and exits with 3 if there are any.',
    )
    .option('--reapply', 'record the lost revocations, disabled users, and compromised keys again')
    .option('--accept', 'accept the older state; revocations since the backup are lost permanently')
    .examples('jwtctl db recover', 'jwtctl db recover --reapply --yes')
    .action(run(recover));
};

const recover: Action<{ reapply?: true; accept?: true }, []> = async (
  { context: open, globals, confirm, signal },
  { reapply, accept },
) => {
  if (reapply && accept) {
    throw new JwtctlError('ERR_FLAG_COMBINATION', 'Specify --reapply or --accept, not both.');
  }
  const context = await open();
  const ports = await context.recovery();
  if (ports === null) return { view: nothingToRecover(), notes: [EMBEDDED] };
  const losses = await findLosses(ports);
  const report = (outcome: RecoveryOutcome) => recoveryReport(losses, outcome, globals.dryRun);
  // --accept also clears events that will not be applied.
  const ignored = losses.unverified.events.length + losses.outdated.length;
  const isSettled = !losses.isBehind && !(accept && ignored > 0);
  if (isSettled || globals.dryRun || !(reapply || accept)) {
    return {
      view: report({ outcome: 'shown', compromised: [] }),
      exitCode: losses.isBehind ? EXIT.state : EXIT.done,
      notes: losses.isBehind ? [`${losses.isBlocked ? BLOCKED : NOT_BLOCKED} ${NEXT}`] : [],
      warnings: unverifiedWarnings(losses),
    };
  }
  const events = pluralize(losses.events.length, 'event');
  await confirm(
    reapply
      ? `Record ${events} again?`
      : `Accept the older state permanently? This gives up ${events} that revoked tokens or changed users or keys.`,
  );
  signal.throwIfAborted();
  await settle(ports, losses, reapply ? 'reapplied' : 'accepted');
  const compromised = reapply ? await compromiseAgain(context, lostCompromises(losses)) : [];
  return {
    view: report({ outcome: reapply ? 'reapplied' : 'accepted', compromised }),
    warnings: unverifiedWarnings(losses),
  };
};

const BLOCKED = 'Issuing, rotating, and restoring are blocked.';
const NOT_BLOCKED =
  'Issuing, rotating, and restoring are not blocked, because the mark in Redis does not show the loss.';
const NEXT =
  'Run `jwtctl db recover` with --reapply to record these changes again, or with --accept to give them up.';
const EMBEDDED =
  'There is nothing to recover: the embedded store keeps tokens and the database in one file, so a backup restores both.';

/** Compromises these keys again, except missing ones, for which the event is enough. */
async function compromiseAgain(context: Context, kids: readonly string[]): Promise<string[]> {
  const { settings } = context;
  const ports = await keyPorts(context);
  const compromised: string[] = [];
  for (const kid of kids) {
    const key = await ports.database.keys.find(kid);
    if (key === null || key.state === 'compromised') continue;
    await compromiseKey(ports, {
      kid,
      reason: 'compromised before the database was restored from a backup',
      policy: { ...lifetimePolicy(settings), publishLeadSeconds: settings.keys.publishLead },
      alg: settings.keys.algorithm,
      bits: settings.keys.bits,
      dryRun: false,
    });
    compromised.push(kid);
  }
  return compromised;
}

function unverifiedWarnings({ unverified }: Losses): string[] {
  const { mark, keys, events, unreadable, foreignKeys } = unverified;
  const count = events.length + unreadable;
  return [
    ...foreignKeys.map(
      (key) =>
        `The key ${key} in Redis holds a value that jwtctl did not write. Events in it were lost and cannot be shown. Delete the key, and repeat genuine revocations by hand.`,
    ),
    ...(mark || keys
      ? ['The marks in Redis cannot be verified with this keyring, so they are ignored.']
      : []),
    ...(count === 0
      ? []
      : [
          `${pluralize(count, 'event')} in Redis cannot be verified and will not be applied. Such events come from a host without the keyring, or are forged. Repeat genuine revocations by hand.`,
        ]),
  ];
}
