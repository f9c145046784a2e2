import { type RotationOutcome, rotateAfterLead, rotateKeys } from '../../../domain/keys/rotate.js';
import { clearExpiredEvents } from '../../../domain/security-log/clear-expired.js';
import { JwtctlError } from '../../../domain/shared/errors.js';
import type { Action, DefineCommand } from '../../invocation.js';
import {
  fleetAwaited,
  heartbeatWarnings,
  NOT_PRE_PUBLISHED,
  publicationAwaited,
  publicationWarnings,
  rotationReport,
  stragglerWarnings,
} from '../../output/views/keys/rotation.js';
import { durationFlag } from '../shared/flags.js';
import { keyPorts } from '../shared/key-ports.js';
import { lifetimePolicy } from '../shared/lifetime-policy.js';

export const defineRotate: DefineCommand = (group, run) => {
  group
    .command('rotate')
    .description(
      'Rotate the signing keys if due.\n\nPublishes the next key. Makes it active after keys.publishLead, once running verifiers have loaded it and keys.publishUrl shows it. Retires keys that no live token can use. Safe to run every hour and from several hosts.',
    )
    .option(
      '--if-older-than <duration>',
      'age at which the active key is due for rotation (default: keys.rotateAfter)',
      durationFlag,
    )
    .option(
      '--now',
      'rotate even if not due, and even if the publish lead of the next key (keys.publishLead) is not over',
    )
    .option(
      '--wait [duration]',
      'wait for the publish lead, then up to this long for verifiers to load the new key (default: keys.publishLead); works with --now, too',
      durationFlag,
    )
    .option(
      '--force',
      'rotate even if running verifiers have not loaded the new key, or keys.publishUrl does not show it',
    )
    .examples('jwtctl keys rotate', 'jwtctl keys rotate --if-older-than 7d --dry-run')
    .action(run(rotate));
};

const rotate: Action<{ ifOlderThan?: number; now?: true; wait?: true | number; force?: true }, []> = async (
  { context: open, globals, waitUntil, present, signal },
  flags,
) => {
  if (flags.now && flags.ifOlderThan !== undefined) {
    throw new JwtctlError(
      'ERR_FLAG_COMBINATION',
      '--now cannot be combined with --if-older-than, because --now rotates at any age.',
    );
  }
  const context = await open();
  const { settings } = context;
  const ports = await keyPorts(context);
  await (await context.guard()).assertCurrent();
  const input = {
    policy: {
      rotateAfterSeconds: flags.ifOlderThan ?? settings.keys.rotateAfter,
      publishLeadSeconds: settings.keys.publishLead,
      ...lifetimePolicy(settings),
      isForced: flags.now === true,
      keepsLead: flags.wait !== undefined,
      leavesStragglers: flags.force === true,
      needsFleet: flags.wait !== undefined,
    },
    alg: settings.keys.algorithm,
    bits: settings.keys.bits,
    dryRun: globals.dryRun,
    ...(typeof flags.wait === 'number' ? { fleetSeconds: flags.wait } : {}),
  };
  let isShown = false;
  const wait = async (outcome: RotationOutcome & { signsFrom: number }) => {
    const { pending, signsFrom, awaitsLead, awaitsFleet } = outcome;
    const here = signsFrom + context.clock.now() - ports.clock.now();
    if (awaitsLead) return waitUntil(here, `the publish lead of key ${pending} is over`);
    if (!isShown && globals.format === 'table')
      await present(awaitsFleet ? fleetAwaited(outcome) : publicationAwaited(outcome));
    isShown = true;
    await ports.clock.pause(awaitsFleet ? FLEET_LOOK_MS : PUBLICATION_LOOK_MS, signal);
  };
  const outcome = flags.wait ? await rotateAfterLead(ports, input, wait) : await rotateKeys(ports, input);
  const { dryRun } = globals;
  const { rotated, active, pending } = outcome;
  const uncleared = dryRun ? null : await clearExpiredEvents(ports.database.securityLog);
  return {
    view: rotationReport(outcome, dryRun, ports.clock.now(), ports.publishedKeys !== null),
    notes: outcome.isNotPrePublished && !dryRun ? [NOT_PRE_PUBLISHED] : [],
    ...(outcome.publication.failure === null ? {} : { error: outcome.publication.failure }),
    warnings: dryRun
      ? []
      : [
          ...stragglerWarnings(
            rotated ? active : pending,
            outcome,
            rotated ? null : lifetimePolicy(settings),
          ),
          ...heartbeatWarnings(outcome),
          ...publicationWarnings(outcome),
          ...(uncleared === null ? [] : [uncleared]),
        ],
  };
};

const FLEET_LOOK_MS = 1_000;
const PUBLICATION_LOOK_MS = 10_000;
