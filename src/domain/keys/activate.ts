import {
  askFleet,
  askWholeFleet,
  type Fleet,
  NO_VERIFIERS,
  nameVerifiers,
  stoppedOnesCount,
  withoutKey,
} from '../fleet/running-verifiers.js';
import type { LifetimePolicy } from '../model/lifetime.js';
import type { SigningAlgorithm, SigningKey } from '../model/signing-key.js';
import type { Heartbeat } from '../ports/index.js';
import { formatDuration } from '../shared/duration.js';
import { JwtctlError } from '../shared/errors.js';
import { changeKeys } from './apply-change.js';
import { keyStoreChanged, requireKeyAmong } from './find-key.js';
import { asPending, makeSealedKey } from './generate.js';
import { assertOpens } from './open-pending.js';
import type { RotationPorts } from './rotate.js';
import { demote, promote } from './rotation-plan.js';

export interface ActivationInput {
  kid: string;
  policy: LifetimePolicy & { publishLeadSeconds: number };
  /** Let it sign although it has not been published for the lead, or a verifier that runs has not loaded it. */
  now: boolean;
  /** What a new key is made for. */
  alg: SigningAlgorithm;
  bits: number;
  dryRun: boolean;
}

export interface Activation {
  key: SigningKey;
  /** Whether it was not published for the lead: a verifier may not know it yet. */
  isNotPrePublished: boolean;
  /** The kid of the key that was made to sign next; null where another one is pending already. */
  published: string | null;
  /** Verifiers that run and have not loaded it. */
  stragglers: Heartbeat[];
  /** Why the fleet could not be asked; null where it was. Then the lead has to do. */
  fleetUnavailableReason: string | null;
}

/**
 * Lets a pending key sign from now on, in place of the active one, and publishes the next one where none is pending any
 * more: a later rotation, or the end of a leaked key, is to find one that verifiers know. The active key stays as it is.
 *
 * @throws JwtctlError (state) `ERR_KEY_NOT_PENDING`; `ERR_KEY_NOT_PUBLISHED`, `ERR_KEY_NOT_LOADED` without `now`; what {@link assertOpens}
 * throws, and what keeps a key from being made
 */
export async function activateKey(ports: RotationPorts, input: ActivationInput): Promise<Activation> {
  const { database, clock, actor } = ports;
  const { keys } = await database.keys.snapshot();
  const key = requireKeyAmong(keys, input.kid);
  if (key.state === 'active') return asItIs(key);
  assertActivatable(key, input, clock.now());
  const fleet = await (input.now ? askFleet(ports) : askWholeFleet(ports, key.kid));
  assertLoaded(key, fleet, input);
  const isNotPrePublished = isNew(key, input, clock.now());
  if (input.dryRun) return { ...asItIs({ ...key, state: 'active' }, fleet), isNotPrePublished };
  await assertOpens(ports, key).catch(async (error) => {
    // What has become of it since is told by the transaction.
    if ((await database.keys.find(key.kid))?.state === 'pending') throw error;
  });
  const next = hasOtherPending(keys, key)
    ? null
    : await makeSealedKey(ports, { alg: input.alg, bits: input.bits }, keys);

  return database.transaction(async (stores) => {
    const now = clock.now();
    const { revision, keys: current } = await stores.keys.snapshot();
    const found = current.find(({ kid }) => kid === key.kid);
    if (found?.state === 'active') return asItIs(found);
    if (found === undefined) throw keyStoreChanged(key.kid);
    assertActivatable(found, input, now);
    const active = current.find(({ state }) => state === 'active');
    const transitions = [
      ...(active === undefined ? [] : [demote(active, input.policy, now)]),
      promote(found, input.policy, now),
    ];
    const added = next === null || hasOtherPending(current, key) ? [] : [asPending(next, now)];
    const row = { at: now, actor, action: 'keys.activate', reason: input.now ? 'forced' : null };
    if (!(await changeKeys(stores, { revision, transitions, added }, row))) throw keyStoreChanged(key.kid);
    return {
      ...asItIs((await stores.keys.find(key.kid)) as SigningKey, fleet),
      isNotPrePublished: isNew(found, input, now),
      published: added[0]?.kid ?? null,
    };
  });
}

function asItIs(key: SigningKey, fleet: Fleet = NO_VERIFIERS): Activation {
  const stragglers = withoutKey(fleet, key.kid);
  return {
    key,
    isNotPrePublished: false,
    published: null,
    stragglers,
    fleetUnavailableReason: fleet.unavailableReason,
  };
}

function hasOtherPending(keys: readonly SigningKey[], { kid }: SigningKey): boolean {
  return keys.some((other) => other.state === 'pending' && other.kid !== kid);
}

function isNew(key: SigningKey, { policy }: ActivationInput, now: number): boolean {
  return now < key.createdAt + policy.publishLeadSeconds;
}

function assertActivatable(key: SigningKey, input: ActivationInput, now: number): void {
  if (key.state !== 'pending') {
    throw new JwtctlError('ERR_KEY_NOT_PENDING', `Key ${key.kid} is ${key.state} and cannot sign.`, {
      hint: 'Run `jwtctl keys list --state pending`, or `jwtctl keys generate`.',
    });
  }
  const publishedFrom = key.createdAt + input.policy.publishLeadSeconds;
  if (!input.now && now < publishedFrom) {
    throw new JwtctlError(
      'ERR_KEY_NOT_PUBLISHED',
      `Key ${key.kid} may sign in ${formatDuration(publishedFrom - now)}, when verifiers can be expected to know it.`,
      { hint: 'Wait for it, or use --now.', details: { signsFrom: publishedFrom } },
    );
  }
}

function assertLoaded({ kid }: SigningKey, fleet: Fleet, { now, policy }: ActivationInput): void {
  const stragglers = withoutKey(fleet, kid);
  if (now || stragglers.length === 0) return;
  throw new JwtctlError(
    'ERR_KEY_NOT_LOADED',
    `Key ${kid} may sign once every verifier that runs has loaded it; these have not: ${nameVerifiers(stragglers)}.`,
    { hint: `Look after them, or go on without them with --now. ${stoppedOnesCount(policy)}` },
  );
}
