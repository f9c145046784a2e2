import {
  askFleet,
  askWholeFleet,
  type Fleet,
  killedVerifiersNote,
  NO_VERIFIERS,
  nameVerifiers,
  withoutKey,
} from '../fleet/running-verifiers.js';
import type { LifetimePolicy } from '../model/lifetime.js';
import { type SigningAlgorithm, type SigningKey, stateName } from '../model/signing-key.js';
import type { Heartbeat, KeySnapshot } from '../ports/index.js';
import { formatDuration } from '../shared/duration.js';
import { JwtctlError } from '../shared/errors.js';
import { requireKeyAmong } from './find-key.js';
import { asPending, makeSealedKey } from './generate.js';
import { assertOpens } from './open-private-key.js';
import { checkPublication, type Publication } from './publication.js';
import type { RotationPorts } from './rotate.js';
import { demote, promote } from './rotation-plan.js';
import { isPublished, publishedFrom } from './signing-start.js';
import { type KeyPlan, readBack, updateKeys } from './update-keys.js';

export interface ActivationInput {
  kid: string;
  policy: LifetimePolicy & { publishLeadSeconds: number };
  /** Skips the publish lead, and does not wait for verifiers to load the key. */
  now: boolean;
  alg: SigningAlgorithm;
  bits: number;
  dryRun: boolean;
}

export interface Activation {
  key: SigningKey;
  isNotPrePublished: boolean;
  published: string | null;
  stragglers: Heartbeat[];
  fleetUnavailableReason: string | null;
}

/**
 * Makes a pending key the active one. Leaves an active key unchanged. Publishes a new key if no other one is
 * pending, because a later rotation or compromise needs a key that verifiers know.
 * @throws JwtctlError (state) `ERR_KEY_NOT_PENDING`; without `now` `ERR_KEY_NOT_PUBLISHED`,
 * `ERR_KEY_NOT_LOADED`; `ERR_PUBLISH_URL_UNREACHABLE` (unavailable); errors of {@link assertOpens}, {@link makeSealedKey}, and {@link updateKeys}
 */
export async function activateKey(ports: RotationPorts, input: ActivationInput): Promise<Activation> {
  const { database, clock } = ports;
  const plan = async ({ keys }: KeySnapshot): Promise<KeyPlan<Activation> | null> => {
    const key = requireKeyAmong(keys, input.kid);
    if (key.state === 'active') return { outcome: unchanged(key) };
    assertActivatable(key, input, clock.now());
    const fleet = await (input.now ? askFleet(ports) : askWholeFleet(ports, key.kid));
    assertLoaded(key, fleet, input);
    if (!input.now && ports.publishedKeys) assertShown(key, await checkPublication(ports.publishedKeys, key));
    try {
      await assertOpens(ports, key);
    } catch (error) {
      // Another host may hold the right keyring and have activated the key.
      if ((await database.keys.find(key.kid))?.state === 'pending') throw error;
      return null;
    }
    const isNextNeeded = !keys.some(({ state, kid }) => state === 'pending' && kid !== key.kid);
    if (input.dryRun) {
      if (isNextNeeded) await ports.sealer.assertSeals();
      const outcome = unchanged({ ...key, state: 'active' }, fleet);
      return { outcome: { ...outcome, isNotPrePublished: !isPublished(key, input.policy, clock.now()) } };
    }
    const next = isNextNeeded ? await makeSealedKey(ports, { alg: input.alg, bits: input.bits }, keys) : null;
    const active = keys.find(({ state }) => state === 'active');
    return {
      changeAt: (now) => ({
        transitions: [
          ...(active === undefined ? [] : [demote(active, input.policy, now)]),
          promote(key, input.policy, now),
        ],
        added: next === null ? [] : [asPending(next, now)],
        reason: input.now ? 'forced' : null,
        finish: async (stores) => ({
          ...unchanged(await readBack(stores, key.kid), fleet),
          isNotPrePublished: !isPublished(key, input.policy, now),
          published: next?.kid ?? null,
        }),
      }),
    };
  };
  return updateKeys(ports, plan, 'keys.activate');
}

function unchanged(key: SigningKey, fleet: Fleet = NO_VERIFIERS): Activation {
  const stragglers = withoutKey(fleet, key.kid);
  return {
    key,
    isNotPrePublished: false,
    published: null,
    stragglers,
    fleetUnavailableReason: fleet.unavailableReason,
  };
}

function assertActivatable(key: SigningKey, input: ActivationInput, now: number): void {
  if (key.state !== 'pending') {
    throw new JwtctlError('ERR_KEY_NOT_PENDING', `Key ${key.kid} is ${stateName(key)} and cannot sign.`);
  }
  if (!input.now && !isPublished(key, input.policy, now)) {
    const signsFrom = publishedFrom(key, input.policy, now);
    throw new JwtctlError(
      'ERR_KEY_NOT_PUBLISHED',
      `Key ${key.kid} can sign in ${formatDuration(signsFrom - now)}. Until then, some verifiers may not know it.`,
      { details: { signsFrom } },
    );
  }
}

function assertShown({ kid }: SigningKey, { problem, failure }: Publication): void {
  if (failure !== null) throw failure;
  if (problem === null) return;
  throw new JwtctlError(
    'ERR_KEY_NOT_PUBLISHED',
    `Key ${kid} cannot sign yet, because ${problem}. A cache may hold an older copy.`,
  );
}

function assertLoaded({ kid }: SigningKey, fleet: Fleet, { now, policy }: ActivationInput): void {
  const stragglers = withoutKey(fleet, kid);
  if (now || stragglers.length === 0) return;
  throw new JwtctlError(
    'ERR_KEY_NOT_LOADED',
    `Key ${kid} cannot sign before every running verifier has loaded it. Still missing: ${nameVerifiers(stragglers)}. ${killedVerifiersNote(policy)}`,
  );
}
