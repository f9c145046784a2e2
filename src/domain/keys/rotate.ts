import { askFleet, askWholeFleet, type Fleet, NO_VERIFIERS } from '../fleet/running-verifiers.js';
import type { KeyState, SigningAlgorithm, SigningKey } from '../model/signing-key.js';
import type { Heartbeat, KeySnapshot, VerifierRoster } from '../ports/index.js';
import { formatDuration } from '../shared/duration.js';
import { JwtctlError } from '../shared/errors.js';
import { asActive, asPending, type KeyGenerationPorts, makeSealedKey, type SealedKey } from './generate.js';
import { assertKeyringFits, assertOpens, type PromotionPorts } from './open-pending.js';
import {
  planRotation,
  type RotationPlan,
  type RotationPolicy,
  type RotationReason,
  waitsForFleet,
} from './rotation-plan.js';
import { type KeyPlan, updateKeys } from './update-keys.js';

export interface RotationOutcome {
  /** Whether this run gave signing to another key. */
  rotated: boolean;
  reason: RotationReason;
  active: string | null;
  previous: string | null;
  pending: string | null;
  signsFrom: number | null;
  retired: string[];
  /** Whether the key that signs now was not published for the lead. */
  isNotPrePublished: boolean;
  /** Whether nothing is missing but that the pending key has been published for the lead, at `signsFrom`. */
  awaitsLead: boolean;
  /** Whether nothing is missing but that `stragglers` load the pending key, or that the fleet can be asked. */
  awaitsFleet: boolean;
  /** Verifiers that run and do not know the key that signs now, or is to. */
  stragglers: Heartbeat[];
  /** Why the fleet could not be asked; null where it was, or there was nothing to ask it. */
  fleetUnavailableReason: string | null;
  /** How many heartbeats were ignored because no verifier can have written them. */
  untrustedHeartbeats: number;
}

export interface RotationPorts extends KeyGenerationPorts {
  /** Opened where another key is to sign: that a registry is away must not keep a key from being published or retired. */
  openRegistry(): Promise<VerifierRoster>;
}

export interface RotationInput {
  policy: RotationPolicy;
  /** What a new key is made for. */
  alg: SigningAlgorithm;
  bits: number;
  dryRun: boolean;
}

/**
 * Rotates, and where only the lead is missing, or verifiers have yet to load the key, waits for it; for the verifiers so
 * long at most, and then it is left at that. Another run that rotates meanwhile has done it.
 *
 * @param input.fleetSeconds how long it waits for verifiers once the lead is over; default: as long as the lead once more
 * @param wait is given what it waits for, and resolves at its `signsFrom`, or where it `awaitsFleet` at the next look
 * @throws what {@link rotateKeys} and `wait` throw; JwtctlError `ERR_FLEET_UNAVAILABLE` (unavailable) where it needs to ask the
 * fleet and could not in all that time; `ERR_INTERRUPTED` (interrupted) for an AbortError of `wait`
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
  while ((outcome.awaitsLead || outcome.awaitsFleet) && outcome.signsFrom !== null && !input.dryRun) {
    const { active, pending, signsFrom, retired, fleetUnavailableReason } = outcome;
    if (outcome.awaitsFleet) {
      giveUpAt ??= now() + fleetSeconds;
      if (now() >= giveUpAt) {
        if (fleetUnavailableReason !== null) throw fleetUnknown(fleetSeconds, fleetUnavailableReason);
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
 * Advances what is due, once. Of many runs at the same time, one does it and the others find it done. A pending key becomes
 * active only if its private key opens here; otherwise nothing changes.
 *
 * @param expectedActive does nothing if another key is active by now. Default: the key that is active first
 * @throws JwtctlError `ERR_NO_KEYS` (state) if there are no keys; errors of {@link assertOpens}, {@link assertKeyringFits},
 * and {@link updateKeys}
 */
export async function rotateKeys(
  ports: RotationPorts,
  input: RotationInput,
  expectedActive?: string | null,
): Promise<RotationOutcome> {
  const { policy } = input;
  let firstActive = expectedActive;
  const assertOpensOnce = openingOnce(ports);
  const plan = async ({ revision, keys }: KeySnapshot): Promise<KeyPlan<RotationOutcome> | null> => {
    if (keys.length === 0) throw noKeys();
    const active = keys.find(({ state }) => state === 'active');
    const signing = active?.kid ?? null;
    // Not `??=`: null means that no key was active.
    if (firstActive === undefined) firstActive = signing;
    // Another run rotated in the meantime. Due or forced, it is done; unless no key signs now.
    if (firstActive !== signing && signing !== null) {
      return { outcome: lostRace(keys, policy, ports.clock.now()) };
    }
    const { plan: foreseen, fleet } = await planWithFleet(ports, keys, policy);
    const isNothingDue = foreseen.transitions.length === 0 && pairsWanted(foreseen) === 0;
    if (input.dryRun || isNothingDue) return { outcome: outcomeOf(foreseen, [], fleet) };
    const promoted = promotedBy(foreseen, keys);
    try {
      if (promoted !== undefined) await assertOpensOnce(promoted);
    } catch (error) {
      // Another host, which can open the key, may have activated it.
      if ((await ports.database.keys.snapshot()).revision === revision) throw error;
      return null;
    }
    // If a pending key has just opened, the keyring fits; a forced run does not need it to.
    const isKeyringUnproven = promoted === undefined && pairsWanted(foreseen) > 0 && !policy.isForced;
    if (active !== undefined && isKeyringUnproven) await assertKeyringFits(ports, active);
    const made = await makeKeys(ports, input, foreseen, keys);
    return {
      changeAt: (now) => {
        // Planned again: `verifyUntil` counts from the moment at which a key really stops signing.
        const current = planRotation(keys, policy, now, fleet);
        if (pairsWanted(current) !== made.length || promotedBy(current, keys) !== promoted) return null;
        return {
          transitions: current.transitions,
          added: made.map((key, index) =>
            current.activatesNewKey && index === 0
              ? asActive(key, policy.maxTtlSeconds, now)
              : asPending(key, now),
          ),
          reason: current.reason,
          finish: () => outcomeOf(current, made, fleet),
        };
      },
    };
  };
  return updateKeys(ports, plan, 'keys.rotate');
}

/** The fleet is asked only where another key would sign: most runs find nothing due. */
async function planWithFleet(
  ports: RotationPorts,
  keys: readonly SigningKey[],
  policy: RotationPolicy,
): Promise<{ plan: RotationPlan; fleet: Fleet }> {
  const plan = planRotation(keys, policy, ports.clock.now());
  if (!givesSigning(plan)) return { plan, fleet: NO_VERIFIERS };
  const next = plan.active;
  // A key that nobody waits for signs at once: whom it leaves behind is only told.
  const isAwaited = next !== null && waitsForFleet(policy) && keys.some(({ state }) => state === 'active');
  const fleet = await (isAwaited ? askWholeFleet(ports, next) : askFleet(ports));
  return { plan: planRotation(keys, policy, ports.clock.now(), fleet), fleet };
}

function givesSigning({ reason }: RotationPlan): boolean {
  return reason === 'due' || reason === 'forced';
}

function fleetUnknown(seconds: number, why: string): JwtctlError {
  return new JwtctlError(
    'ERR_FLEET_UNAVAILABLE',
    `No other key signs: which verifiers run could not be asked for ${formatDuration(seconds)}: ${why}`,
  );
}

function noKeys(): JwtctlError {
  return new JwtctlError('ERR_NO_KEYS', 'There is no key to rotate.', {
    hint: 'Run `jwtctl keys generate`.',
  });
}

function isAbort(error: unknown): boolean {
  return error instanceof Error && error.name === 'AbortError';
}

function interrupted(pending: string | null): JwtctlError {
  return new JwtctlError(
    'ERR_INTERRUPTED',
    `Interrupted: key ${pending} is published, and does not sign yet.`,
    { hint: 'Run the same command again: it waits for no longer than what is left.' },
  );
}

/** However often a run plans anew, it opens a key once. */
function openingOnce(ports: PromotionPorts): (key: SigningKey) => Promise<void> {
  const opened = new Map<string, Promise<void>>();
  return (key) => {
    const opening = opened.get(key.kid) ?? assertOpens(ports, key);
    opened.set(key.kid, opening);
    return opening;
  };
}

/** Pairs are made outside the transaction: RSA takes long enough to hold a row lock too long. */
async function makeKeys(
  ports: KeyGenerationPorts,
  input: RotationInput,
  plan: RotationPlan,
  known: readonly SigningKey[],
): Promise<SealedKey[]> {
  const made: SealedKey[] = [];
  while (made.length < pairsWanted(plan))
    made.push(await makeSealedKey(ports, { alg: input.alg, bits: input.bits }, [...known, ...made]));
  return made;
}

/** The pending key that signs from then on. */
function promotedBy(plan: RotationPlan, keys: readonly SigningKey[]): SigningKey | undefined {
  const step = plan.transitions.find(({ to }) => to === 'active');
  return keys.find(({ kid }) => kid === step?.kid);
}

function pairsWanted(plan: RotationPlan): number {
  return Number(plan.activatesNewKey) + Number(plan.publishesNewKey);
}

/** What the other run has left, as it is: this one did nothing. */
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
): RotationOutcome {
  const kids = made.map((key) => key.kid);
  const activated = plan.activatesNewKey ? (kids.shift() ?? null) : plan.active;
  return {
    rotated: givesSigning(plan),
    reason: plan.reason,
    active: activated,
    previous: plan.previous,
    pending: plan.publishesNewKey ? (kids.shift() ?? null) : plan.pending,
    signsFrom: plan.signsFrom,
    isNotPrePublished: plan.isNotPrePublished,
    awaitsLead: plan.awaitsLead,
    awaitsFleet: plan.awaitsFleet,
    stragglers: plan.stragglers,
    fleetUnavailableReason: unavailableReason,
    untrustedHeartbeats: untrusted,
    retired: plan.transitions
      .filter((transition) => transition.to === 'retired')
      .map((transition) => transition.kid),
  };
}
