import { JwtctlError } from './errors.js';
import {
  asActive,
  asPending,
  type KeyGenerationPorts,
  makeSealedKey,
  type SealedKey,
} from './key-generation.js';
import { planRotation, type RotationPlan, type RotationPolicy, type RotationReason } from './rotation.js';
import type { SigningAlgorithm } from './signing-key.js';

const ATTEMPTS = 20;

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
  isUnannounced: boolean;
}

export interface RotationInput {
  policy: RotationPolicy;
  /** What a new key is made for. */
  alg: SigningAlgorithm;
  bits: number;
  dryRun: boolean;
}

/**
 * Advances what is due, once, however many run at the same time: one of them does it and the others find it done.
 *
 * @throws JwtctlError `ERR_NO_KEYS` (state) where there is no key at all
 */
export async function rotateKeys(ports: KeyGenerationPorts, input: RotationInput): Promise<RotationOutcome> {
  let firstActive: string | null = null;
  for (let attempt = 1; attempt <= ATTEMPTS; attempt++) {
    const { revision, keys } = await ports.database.keys.snapshot();
    if (keys.length === 0) {
      throw new JwtctlError('state', 'ERR_NO_KEYS', 'There is no key to rotate.', {
        hint: 'Run `jwtctl keys generate`.',
      });
    }
    const signing = keys.find((key) => key.state === 'active')?.kid ?? null;
    // Not `??=`: that no key was active is something to remember too.
    if (attempt === 1) firstActive = signing;
    const plan = planRotation(keys, input.policy, ports.clock.now());

    if (firstActive !== signing) {
      // Another run rotated while this one was at it. Due or forced, it has been done.
      return {
        ...outcomeOf(plan, []),
        rotated: false,
        reason: 'lost_race',
        active: signing,
        previous: null,
        isUnannounced: false,
      };
    }
    if (input.dryRun) return outcomeOf(plan, []);
    const made = await makeKeys(ports, input, plan);
    if (await commit(ports, plan, revision, made, input.policy)) return outcomeOf(plan, made);
  }
  throw new JwtctlError(
    'unavailable',
    'ERR_DATABASE_CONFLICT',
    'The key store kept changing while the keys were to be rotated.',
    {
      hint: 'Run `jwtctl keys rotate` again.',
    },
  );
}

/** Pairs are made outside the transaction: RSA takes long enough to hold a row lock too long. */
async function makeKeys(
  ports: KeyGenerationPorts,
  input: RotationInput,
  plan: RotationPlan,
): Promise<SealedKey[]> {
  const wanted = Number(plan.activatesNewKey) + Number(plan.publishesNewKey);
  const made: SealedKey[] = [];
  while (made.length < wanted) made.push(await makeSealedKey(ports, { alg: input.alg, bits: input.bits }));
  return made;
}

/** False where the key store changed since `revision`: then nothing was written. */
async function commit(
  ports: KeyGenerationPorts,
  plan: RotationPlan,
  revision: number,
  made: readonly SealedKey[],
  policy: RotationPolicy,
): Promise<boolean> {
  if (plan.transitions.length === 0 && made.length === 0) return true;
  return ports.database.transaction(async ({ keys, auditLog }) => {
    const now = ports.clock.now();
    if (!(await keys.apply(revision, plan.transitions))) return false;
    for (const [index, key] of made.entries()) {
      const isActive = plan.activatesNewKey && index === 0;
      await keys.insert(isActive ? asActive(key, policy.maxTtlSeconds, now) : asPending(key, now));
    }
    const { rotated, active, pending, retired } = outcomeOf(plan, made);
    const target = (rotated ? active : made.length > 0 ? pending : retired.join(' ')) ?? '';
    await auditLog.append({
      at: now,
      actor: ports.actor,
      action: 'keys.rotate',
      target,
      outcome: plan.reason,
      reason: null,
    });
    return true;
  });
}

function outcomeOf(plan: RotationPlan, made: readonly SealedKey[]): RotationOutcome {
  const kids = made.map((key) => key.kid);
  const activated = plan.activatesNewKey ? (kids.shift() ?? null) : plan.active;
  const rotated = plan.reason === 'due' || plan.reason === 'forced';
  return {
    rotated,
    reason: plan.reason,
    active: activated,
    previous: plan.previous,
    pending: plan.publishesNewKey ? (kids.shift() ?? null) : plan.pending,
    signsFrom: plan.signsFrom,
    isUnannounced: plan.isUnannounced,
    retired: plan.transitions
      .filter((transition) => transition.to === 'retired')
      .map((transition) => transition.kid),
  };
}
