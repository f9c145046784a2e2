import { ISSUER_KEY_HOLD_SECONDS } from '../model/lifetime.js';
import { isVerifyOnly, type SigningKey } from '../model/signing-key.js';
import type { Administration, KeySnapshot, WalkControl } from '../ports/index.js';
import { formatDuration } from '../shared/duration.js';
import { JwtctlError } from '../shared/errors.js';
import { pluralize } from '../shared/pluralize.js';
import { asSentence } from '../shared/text.js';
import { requireKeyAmong } from './find-key.js';
import { type KeyPlan, readBack, updateKeys } from './update-keys.js';
import { countKeyUsage, type KeyUsage } from './usage.js';

export interface RetirementInput extends WalkControl {
  kid: string;
  force: boolean;
  dryRun: boolean;
  clockToleranceSeconds: number;
}

/**
 * Ends a key's signing and verifying, and wipes its private key. Leaves a retired key unchanged.
 * @throws JwtctlError (state) `ERR_KEY_ACTIVE`, `ERR_KEY_COMPROMISED`; without `force` also `ERR_KEY_IN_USE`,
 * `ERR_KEY_RECENTLY_ACTIVE` while issuers may still sign with the key, and `ERR_COUNT_INCOMPLETE`
 */
export async function retireKey(ports: Administration, input: RetirementInput): Promise<SigningKey> {
  let isUnused = false;
  const plan = async ({ keys }: KeySnapshot): Promise<KeyPlan<SigningKey>> => {
    const key = requireKeyAmong(keys, input.kid);
    const from = retirableState(key);
    if (from === 'retired') return { outcome: key };
    if (from === 'retiring' && !isUnused && !input.force) {
      await assertUnused(ports, key, input);
      // No tokens are added under a key that has signed, so one walk through the registry is enough.
      isUnused = !isVerifyOnly(key);
    }
    if (input.dryRun) return { outcome: { ...key, state: 'retired' } };
    return {
      changeAt: (at) => ({
        transitions: [{ kid: key.kid, from, to: 'retired', at }],
        reason: input.force ? 'forced' : null,
        finish: (stores) => readBack(stores, key.kid),
      }),
    };
  };
  return updateKeys(ports, plan, 'keys.retire');
}

function retirableState({ kid, state }: SigningKey): 'pending' | 'retiring' | 'retired' {
  if (state === 'active') {
    throw new JwtctlError('ERR_KEY_ACTIVE', `Key ${kid} is active and cannot be retired.`);
  }
  if (state === 'compromised') {
    throw new JwtctlError('ERR_KEY_COMPROMISED', `Key ${kid} is compromised and already refused.`);
  }
  return state;
}

async function assertUnused(ports: Administration, key: SigningKey, input: RetirementInput): Promise<void> {
  const now = ports.clock.now();
  if (key.verifyUntil !== null && key.verifyUntil <= now) return;
  const heldUntil = (key.retiringAt ?? now) + ISSUER_KEY_HOLD_SECONDS;
  if (!isVerifyOnly(key) && now < heldUntil) {
    throw new JwtctlError(
      'ERR_KEY_RECENTLY_ACTIVE',
      `Key ${key.kid} was active a moment ago: issuers may sign with it for another ${formatDuration(heldUntil - now)}.`,
      { details: { heldUntil } },
    );
  }
  const report = await countKeyUsage(ports, [key], input, input);
  const [usage] = report.keys as [KeyUsage];
  if (usage.tokens > 0) throw inUse(usage, now);
  if (!report.complete) {
    throw new JwtctlError(
      'ERR_COUNT_INCOMPLETE',
      asSentence(
        `Key ${key.kid} may have live tokens, because the count is incomplete: ${report.missed.join('; ')}`,
      ),
    );
  }
}

function inUse(usage: KeyUsage, now: number): JwtctlError {
  const { kid, tokens, subjects, lastExp } = usage;
  const rest = formatDuration((lastExp ?? now) - now);
  const live = `${pluralize(tokens, 'live token')} of ${pluralize(subjects, 'subject')}`;
  return new JwtctlError('ERR_KEY_IN_USE', `Key ${kid} has ${live}; the last one expires in ${rest}.`, {
    details: { kid, tokens, subjects, lastExp },
  });
}
