import { askFleet, askWholeFleet, type Fleet, NO_VERIFIERS } from '../fleet/running-verifiers.js';
import type { KeyState, SigningAlgorithm, SigningKey } from '../model/signing-key.js';
import type { KeySnapshot, PublishedKeys, VerifierRoster } from '../ports/index.js';
import { formatDuration } from '../shared/duration.js';
import { JwtctlError } from '../shared/errors.js';
import { asActive, asPending, type KeyGenerationPorts, makeSealedKey, type SealedKey } from './generate.js';
import { assertKeyringFits, assertOpens, type PromotionPorts } from './open-private-key.js';
import { checkPublication, NOT_CHECKED, type Publication } from './publication.js';
import {
  planRotation,
  type RotationPlan,
  type RotationPolicy,
  type RotationReason,
} from './rotation-plan.js';
import { waitsForFleet } from './signing-start.js';
import { type KeyPlan, updateKeys } from './update-keys.js';

type PlannedOutcome = Omit<RotationPlan, 'transitions' | 'activatesNewKey' | 'publishesNewKey'>;

export interface RotationOutcome extends Omit<PlannedOutcome, 'reason' | 'signsFrom'> {
  rotated: boolean;
  reason: RotationReason;
  signsFrom: number | null;
  retired: string[];
  fleetUnavailableReason: string | null;
  untrustedHeartbeats: number;
  publication: Publication;
}

export interface RotationPorts extends KeyGenerationPorts {
  /** Called only before another key is activated: publishing and retiring work without the registry. */
  openRegistry(): Promise<VerifierRoster>;
  /** Asked before a pending key is activated. Null without `keys.publishUrl`. */
  publishedKeys?: PublishedKeys | null | undefined;
}

export interface RotationInput {
  policy: RotationPolicy;
  alg: SigningAlgorithm;
  bits: number;
  dryRun: boolean;
}

/**
 * Waits for the publish lead and for verifiers to load the new key, then rotates. Does not rotate if
 * verifiers take too long or another run rotates first.
 * @param input.fleetSeconds how long to wait for verifiers and `keys.publishUrl` after the lead. Default: the publish lead
 * @param wait resolves at the outcome's `signsFrom` or, if it awaits an answer, when to ask again
 * @throws JwtctlError `ERR_FLEET_UNAVAILABLE` (unavailable) if the fleet cannot be asked; `ERR_INTERRUPTED`
 * (interrupted) for an AbortError of `wait`; errors of {@link rotateKeys} and `wait`
 */
export async function rotateAfterLead(
  ports: RotationPorts,
  input: RotationInput & { fleetSeconds?: number },
  wait: (outcome: RotationOutcome & { signsFrom: number }) => Promise<void>,
): Promise<RotationOutcome> {
  const { fleetSeconds = input.policy.publishLeadSeconds } = input;
  const { now } = ports.clock;
  let outcome = await rotateKeys(ports, input);
  let giveUpAt: number | null = null;
  while (isAwaiting(outcome) && outcome.signsFrom !== null && !input.dryRun) {
    const { active, pending, signsFrom, retired, fleetUnavailableReason } = outcome;
    if (!outcome.awaitsLead) {
      giveUpAt ??= now() + fleetSeconds;
      if (now() >= giveUpAt) {
        if (outcome.awaitsFleet && fleetUnavailableReason !== null)
          throw fleetUnknown(fleetSeconds, fleetUnavailableReason);
        return outcome;
      }
    }
    await wait({ ...outcome, signsFrom }).catch((error) => {
      throw isAbort(error) ? interrupted(pending) : error;
    });
    const next = await rotateKeys(ports, input, active);
    outcome = { ...next, retired: [...retired, ...next.retired] };
  }
  return outcome;
}

/**
 * Publishes, activates, and retires what is due. Of many concurrent runs, one does it. A pending key becomes
 * active only if its private key opens here; otherwise nothing changes.
 * @param expectedActive does nothing if another key is active. Default: the key active at the start
 * @throws JwtctlError `ERR_NO_KEYS` (state); errors of {@link assertOpens}, {@link assertKeyringFits}, and
 * {@link updateKeys}
 */
export async function rotateKeys(
  ports: RotationPorts,
  input: RotationInput,
  expectedActive?: string | null,
): Promise<RotationOutcome> {
  const { policy } = input;
  let firstActive = expectedActive;
  const assertOpensOnce = openOnce(ports);
  const plan = async ({ revision, keys }: KeySnapshot): Promise<KeyPlan<RotationOutcome> | null> => {
    if (keys.length === 0) throw new JwtctlError('ERR_NO_KEYS', 'There is no key to rotate.');
    const active = keys.find(({ state }) => state === 'active');
    const signing = active?.kid ?? null;
    // Not `??=`: null means that no key was active.
    if (firstActive === undefined) firstActive = signing;
    // Another run rotated. If that left no active key, go on.
    if (firstActive !== signing && signing !== null) {
      return { outcome: lostRace(keys, policy, ports.clock.now()) };
    }
    const { plan: expected, fleet, publication } = await planWithFleet(ports, keys, policy);
    const isNothingDue = expected.transitions.length === 0 && newKeyCount(expected) === 0;
    if (isNothingDue) return { outcome: outcomeOf(expected, [], fleet, publication) };
    const promoted = promotedBy(expected, keys);
    try {
      if (promoted !== undefined) await assertOpensOnce(promoted);
    } catch (error) {
      if ((await ports.database.keys.snapshot()).revision === revision) throw error;
      return null;
    }
    // A pending key that opened proves the keyring. A forced run may replace the keyring.
    const isKeyringUnproven = promoted === undefined && newKeyCount(expected) > 0 && !policy.isForced;
    if (active !== undefined && isKeyringUnproven) await assertKeyringFits(ports, active);
    if (input.dryRun) {
      if (newKeyCount(expected) > 0) await ports.sealer.assertSeals();
      return { outcome: outcomeOf(expected, [], fleet, publication) };
    }
    const made = await makeKeys(ports, input, expected, keys);
    return {
      changeAt: (now) => {
        // Planned again, because `verifyUntil` counts from the moment at which a key really stops signing.
        const current = planRotation(keys, policy, now, fleet, publication);
        if (newKeyCount(current) !== made.length || promotedBy(current, keys) !== promoted) return null;
        return {
          transitions: current.transitions,
          added: made.map((key, index) =>
            current.activatesNewKey && index === 0
              ? asActive(key, policy.maxTtlSeconds, now)
              : asPending(key, now),
          ),
          reason: current.reason,
          finish: () => outcomeOf(current, made, fleet, publication),
        };
      },
    };
  };
  return updateKeys(ports, plan, 'keys.rotate');
}

/** Asks only if a key would be activated, because most runs find nothing due. */
async function planWithFleet(
  ports: RotationPorts,
  keys: readonly SigningKey[],
  policy: RotationPolicy,
): Promise<{ plan: RotationPlan; fleet: Fleet; publication: Publication }> {
  const plan = planRotation(keys, policy, ports.clock.now());
  if (!activatesKey(plan)) return { plan, fleet: NO_VERIFIERS, publication: NOT_CHECKED };
  const next = plan.active;
  const isAwaited = next !== null && waitsForFleet(policy) && keys.some(({ state }) => state === 'active');
  const promoted = isAwaited ? promotedBy(plan, keys) : undefined;
  const [fleet, publication] = await Promise.all([
    isAwaited ? askWholeFleet(ports, next) : askFleet(ports),
    promoted && ports.publishedKeys ? checkPublication(ports.publishedKeys, promoted) : NOT_CHECKED,
  ]);
  const current = planRotation(keys, policy, ports.clock.now(), fleet, publication);
  return { plan: current, fleet, publication };
}

function isAwaiting({ awaitsLead, awaitsFleet, awaitsPublication }: RotationOutcome): boolean {
  return awaitsLead || awaitsFleet || awaitsPublication;
}

function activatesKey({ reason }: RotationPlan): boolean {
  return reason === 'due' || reason === 'forced';
}

function fleetUnknown(seconds: number, why: string): JwtctlError {
  return new JwtctlError(
    'ERR_FLEET_UNAVAILABLE',
    `No key was rotated: the list of running verifiers could not be read for ${formatDuration(seconds)}: ${why}`,
  );
}

function isAbort(error: unknown): boolean {
  return error instanceof Error && error.name === 'AbortError';
}

function interrupted(pending: string | null): JwtctlError {
  return new JwtctlError(
    'ERR_INTERRUPTED',
    `Interrupted: key ${pending} is published but does not sign yet.`,
    { hint: 'Run the same command again. It waits only for the remaining time.' },
  );
}

function openOnce(ports: PromotionPorts): (key: SigningKey) => Promise<void> {
  const opened = new Map<string, Promise<void>>();
  return (key) => {
    const opening = opened.get(key.kid) ?? assertOpens(ports, key);
    opened.set(key.kid, opening);
    return opening;
  };
}

async function makeKeys(
  ports: KeyGenerationPorts,
  input: RotationInput,
  plan: RotationPlan,
  known: readonly SigningKey[],
): Promise<SealedKey[]> {
  const made: SealedKey[] = [];
  while (made.length < newKeyCount(plan))
    made.push(await makeSealedKey(ports, { alg: input.alg, bits: input.bits }, [...known, ...made]));
  return made;
}

function promotedBy(plan: RotationPlan, keys: readonly SigningKey[]): SigningKey | undefined {
  const step = plan.transitions.find(({ to }) => to === 'active');
  return keys.find(({ kid }) => kid === step?.kid);
}

function newKeyCount(plan: RotationPlan): number {
  return Number(plan.activatesNewKey) + Number(plan.publishesNewKey);
}

function lostRace(keys: readonly SigningKey[], policy: RotationPolicy, now: number): RotationOutcome {
  const plan = planRotation(keys, { ...policy, isForced: false }, now);
  const kidIn = (state: KeyState) => keys.find((key) => key.state === state)?.kid ?? null;
  const pending = kidIn('pending');
  return {
    rotated: false,
    reason: 'lost_race',
    active: kidIn('active'),
    previous: null,
    pending,
    signsFrom: pending === null ? null : plan.signsFrom,
    isNotPrePublished: false,
    awaitsLead: false,
    awaitsFleet: false,
    awaitsPublication: false,
    publication: NOT_CHECKED,
    stragglers: [],
    fleetUnavailableReason: null,
    untrustedHeartbeats: 0,
    retired: [],
  };
}

function outcomeOf(
  plan: RotationPlan,
  made: readonly SealedKey[],
  { unavailableReason, untrusted = 0 }: Pick<Fleet, 'unavailableReason' | 'untrusted'>,
  publication: Publication,
): RotationOutcome {
  const { transitions, activatesNewKey, publishesNewKey, ...planned } = plan;
  const kids = made.map((key) => key.kid);
  return {
    ...planned,
    rotated: activatesKey(plan),
    active: activatesNewKey ? (kids.shift() ?? null) : plan.active,
    pending: publishesNewKey ? (kids.shift() ?? null) : plan.pending,
    fleetUnavailableReason: unavailableReason,
    untrustedHeartbeats: untrusted,
    publication,
    retired: transitions.filter(({ to }) => to === 'retired').map(({ kid }) => kid),
  };
}
