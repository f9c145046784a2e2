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
import type { SigningAlgorithm, SigningKey } from '../model/signing-key.js';
import type { Heartbeat, KeySnapshot } from '../ports/index.js';
import { formatDuration } from '../shared/duration.js';
import { JwtctlError } from '../shared/errors.js';
import { requireKeyAmong } from './find-key.js';
import { asPending, makeSealedKey } from './generate.js';
import { assertOpens } from './open-pending.js';
import type { RotationPorts } from './rotate.js';
import { demote, promote } from './rotation-plan.js';
import { type KeyPlan, readBack, updateKeys } from './update-keys.js';

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
 * Lets a pending key sign from now on in place of the active one. Publishes a new key if no other one is pending, because a
 * later rotation or compromise needs a key that verifiers know. An active key stays as it is.
 *
 * @throws JwtctlError (state) `ERR_KEY_NOT_PENDING`; `ERR_KEY_NOT_PUBLISHED`, `ERR_KEY_NOT_LOADED` without `now`; errors of
 * {@link assertOpens}, {@link makeSealedKey}, and {@link updateKeys}
 */
export async function activateKey(ports: RotationPorts, input: ActivationInput): Promise<Activation> {
  const { database, clock } = ports;
  const plan = async ({ keys }: KeySnapshot): Promise<KeyPlan<Activation> | null> => {
    const key = requireKeyAmong(keys, input.kid);
    if (key.state === 'active') return { outcome: unchanged(key) };
    assertActivatable(key, input, clock.now());
    const fleet = await (input.now ? askFleet(ports) : askWholeFleet(ports, key.kid));
    assertLoaded(key, fleet, input);
    if (input.dryRun) {
      const outcome = unchanged({ ...key, state: 'active' }, fleet);
      return { outcome: { ...outcome, isNotPrePublished: isNew(key, input, clock.now()) } };
    }
    try {
      await assertOpens(ports, key);
    } catch (error) {
      // Another host, which can open the key, may have activated it.
      if ((await database.keys.find(key.kid))?.state === 'pending') throw error;
      return null;
    }
    const isNextNeeded = !keys.some(({ state, kid }) => state === 'pending' && kid !== key.kid);
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
          isNotPrePublished: isNew(key, input, now),
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
      { details: { signsFrom: publishedFrom } },
    );
  }
}

function assertLoaded({ kid }: SigningKey, fleet: Fleet, { now, policy }: ActivationInput): void {
  const stragglers = withoutKey(fleet, kid);
  if (now || stragglers.length === 0) return;
  throw new JwtctlError(
    'ERR_KEY_NOT_LOADED',
    `Key ${kid} may sign once every verifier that runs has loaded it; these have not: ${nameVerifiers(stragglers)}. ${killedVerifiersNote(policy)}`,
  );
}
