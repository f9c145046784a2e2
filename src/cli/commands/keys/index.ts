import { Option } from 'commander';
import { askFleetWithin, NO_VERIFIERS } from '../../../domain/fleet/running-verifiers.js';
import { requireKey } from '../../../domain/keys/find-key.js';
import { generateKeys, planGeneration } from '../../../domain/keys/generate.js';
import { type RotationOutcome, rotateAfterLead, rotateKeys } from '../../../domain/keys/rotate.js';
import { parseKid } from '../../../domain/model/kid.js';
import {
  KEY_STATES,
  type KeyState,
  SIGNING_ALGORITHMS,
  type SigningAlgorithm,
} from '../../../domain/model/signing-key.js';
import { clearExpiredEvents } from '../../../domain/security-log/clear-expired.js';
import { JwtctlError } from '../../../domain/shared/errors.js';
import type { Action, DefineGroup } from '../../invocation.js';
import {
  fleetAwaited,
  generationPlan,
  heartbeatWarnings,
  keyList,
  keyListWithFleet,
  keyRecord,
  keyRecordWithJwk,
  NOT_PRE_PUBLISHED,
  rotationReport,
  stragglerWarnings,
} from '../../output/views/keys.js';
import { examples } from '../shared/examples.js';
import { durationFlag, integerFlag } from '../shared/flags.js';
import { lifetimePolicy } from '../shared/lifetime-policy.js';
import { defineKeyLifeCycle } from './life-cycle.js';
import { defineKeyMaterial } from './material.js';

export const defineKeys: DefineGroup = (group, run) => {
  group
    .command('generate')
    .description('make a key pair: the first of a store signs at once, later ones are pending')
    .option('--kid <kid>', 'name of the key (default: its RFC 7638 thumbprint)', parseKid)
    .addOption(
      new Option('--alg <alg>', 'signature algorithm (default: keys.algorithm)').choices(SIGNING_ALGORITHMS),
    )
    .option(
      '--bits <n>',
      'modulus length, 2048 to 8192 (default: keys.bits)',
      integerFlag('--bits', 2048, 8192),
    )
    .option('--count <n>', 'how many, 1 to 100', integerFlag('--count', 1, 100))
    .addHelpText('after', examples('jwtctl keys generate', 'jwtctl keys generate --kid 2026-q1 --alg PS256'))
    .action(run(generate));

  group
    .command('list')
    .description('list all keys, oldest first')
    .addOption(new Option('--state <state>', 'only keys in this state').choices(KEY_STATES))
    .addHelpText('after', examples('jwtctl keys list', 'jwtctl keys list --state active -q'))
    .action(run(list));

  group
    .command('show')
    .argument('<kid>')
    .description('show one key; with --json its public key as a JWK')
    .addHelpText('after', examples('jwtctl keys show 2026-q1', 'jwtctl keys show 2026-q1 --json'))
    .action(run(show));

  group
    .command('rotate')
    .description(
      'do what is due: publish the next key, let it sign, retire what no token needs; safe to run every hour',
    )
    .option(
      '--if-older-than <duration>',
      'age at which the active key is due (default: keys.rotateAfter)',
      durationFlag,
    )
    .option('--now', 'rotate whether due or not, even to a key that has not been published for long enough')
    .option(
      '--wait [duration]',
      'wait for what is missing of keys.publishLead, and then so long at most (default: keys.publishLead) for verifiers to load the next key; with --now too',
      durationFlag,
    )
    .option('--force', 'go on without verifiers that run and have not loaded the next key')
    .addHelpText('after', examples('jwtctl keys rotate', 'jwtctl keys rotate --if-older-than 7d --dry-run'))
    .action(run(rotate));

  defineKeyLifeCycle(group, run);
  defineKeyMaterial(group, run);
};

const generate: Action<{ kid?: string; alg?: SigningAlgorithm; bits?: number; count?: number }, []> = async (
  { context: open, globals, signal },
  flags,
) => {
  if (flags.kid !== undefined && (flags.count ?? 1) > 1) {
    throw new JwtctlError('ERR_FLAG_COMBINATION', '--kid names one key, and --count asks for more.');
  }
  const context = await open();
  const { settings, actor } = context;
  const input = {
    ...(flags.kid === undefined ? {} : { kid: flags.kid }),
    alg: flags.alg ?? settings.keys.algorithm,
    bits: flags.bits ?? settings.keys.bits,
    count: flags.count ?? 1,
    maxTtlSeconds: settings.token.maxTtl,
    signal,
  };
  const database = await context.database(globals.dryRun ? 'pretend' : 'create');
  if (globals.dryRun) return { view: generationPlan(await planGeneration(database, input)) };

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

/** How long the list waits for a registry that does not answer, in milliseconds: it is about keys. */
const FLEET_WITHIN_MS = 1_000;

const list: Action<{ state?: KeyState }, []> = async ({ context: open, globals }, { state }) => {
  const context = await open();
  const { keys } = await (await context.database()).keys.snapshot();
  const shown = keys.filter((key) => state === undefined || key.state === state);
  const isAsked = shown.length > 0 && globals.format !== 'quiet';
  const fleet = isAsked
    ? await askFleetWithin(FLEET_WITHIN_MS, { openRegistry: context.registry, clock: context.clock })
    : NO_VERIFIERS;
  const empty = state === undefined || keys.length === 0 ? [] : [`No key is ${state}.`];
  return {
    view: keyListWithFleet(shown, fleet, context.clock.now(), ...empty),
    notes:
      fleet.unavailableReason === null
        ? []
        : [`How many verifiers know each key is not known: ${fleet.unavailableReason}`],
  };
};

const show: Action<object, [string]> = async ({ context: open }, _flags, kid) => {
  const context = await open();
  return { view: keyRecordWithJwk(await requireKey(await context.database(), kid), context.clock.now()) };
};

const rotate: Action<{ ifOlderThan?: number; now?: true; wait?: true | number; force?: true }, []> = async (
  { context: open, globals, waitUntil, present, signal },
  flags,
) => {
  if (flags.now && flags.ifOlderThan !== undefined) {
    throw new JwtctlError(
      'ERR_FLAG_COMBINATION',
      '--now rotates at any age, so --if-older-than says nothing beside it.',
    );
  }
  const context = await open();
  const { settings, actor } = context;
  const [database, clock, sealer, generator] = await Promise.all([
    context.database(),
    context.databaseClock(),
    context.sealer(),
    context.generator(),
  ]);
  if (!globals.dryRun) await (await context.guard()).assertCurrent();
  const ports = { database, openRegistry: context.registry, sealer, generator, clock, actor };
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
  let isSaid = false;
  const wait = async (outcome: RotationOutcome & { signsFrom: number }) => {
    const { pending, signsFrom, awaitsFleet } = outcome;
    const here = signsFrom + context.clock.now() - clock.now();
    if (!awaitsFleet) return waitUntil(here, `key ${pending} has been published for keys.publishLead`);
    if (!isSaid && globals.format === 'table') await present(fleetAwaited(outcome));
    isSaid = true;
    await clock.pause(FLEET_LOOK_MS, signal);
  };
  const outcome = flags.wait ? await rotateAfterLead(ports, input, wait) : await rotateKeys(ports, input);
  const { dryRun } = globals;
  const { rotated, active, pending, isNotPrePublished } = outcome;
  const uncleared = dryRun ? null : await clearExpiredEvents(database.securityLog);
  return {
    view: rotationReport(outcome, dryRun, clock.now()),
    notes: isNotPrePublished && !dryRun ? [NOT_PRE_PUBLISHED] : [],
    warnings: dryRun
      ? []
      : [
          ...stragglerWarnings(
            rotated ? active : pending,
            outcome,
            rotated ? null : lifetimePolicy(settings),
          ),
          ...heartbeatWarnings(outcome),
          ...(uncleared === null ? [] : [uncleared]),
        ],
  };
};

/** How often `--wait` looks whether the verifiers have loaded the key, in milliseconds. */
const FLEET_LOOK_MS = 1_000;
