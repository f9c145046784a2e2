import { ISSUER_KEY_HOLD_SECONDS } from '../model/lifetime.js';
import type { SigningKey } from '../model/signing-key.js';
import type { Administration, KeySnapshot } from '../ports/index.js';
import type { WalkControl } from '../registry/walk-options.js';
import { formatDuration } from '../shared/duration.js';
import { JwtctlError } from '../shared/errors.js';
import { asSentence } from '../shared/text.js';
import { requireKeyAmong } from './find-key.js';
import { type KeyPlan, readBack, updateKeys } from './update-keys.js';
import { countKeyUsage, type KeyUsage } from './usage.js';

export interface RetirementInput extends WalkControl {
  kid: string;
  /** Retire although tokens live under the key: they are refused from then on. */
  force: boolean;
  dryRun: boolean;
  clockToleranceSeconds: number;
}

/**
 * Ends a key: it verifies nothing any more, and its private key is wiped. A retired key stays as it is.
 *
 * @throws JwtctlError (state) `ERR_KEY_ACTIVE`, `ERR_KEY_COMPROMISED`; without `force`, `ERR_KEY_IN_USE` with the number of
 * live tokens and subjects and the last expiry, and `ERR_KEY_RECENTLY_ACTIVE` while issuers may still sign with the key
 */
export async function retireKey(ports: Administration, input: RetirementInput): Promise<SigningKey> {
  let isUnused = input.force;
  const plan = async ({ keys }: KeySnapshot): Promise<KeyPlan<SigningKey>> => {
    const key = requireKeyAmong(keys, input.kid);
    const from = retirableState(key);
    if (from === 'retired') return { outcome: key };
    if (from === 'retiring' && !isUnused) {
      await assertUnused(ports, key, input);
      // A retiring key signs no new tokens, so one walk through the registry is enough.
      isUnused = true;
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

/** A pending key has signed nothing yet, and a retiring one signs nothing any more. */
function retirableState({ kid, state }: SigningKey): 'pending' | 'retiring' | 'retired' {
  if (state === 'active') {
    throw new JwtctlError('ERR_KEY_ACTIVE', `Key ${kid} is active: without it nothing would sign.`, {
      hint: 'Run `jwtctl keys rotate --now` first; a leaked key is ended with `jwtctl keys compromise`.',
    });
  }
  if (state === 'compromised') {
    throw new JwtctlError('ERR_KEY_COMPROMISED', `Key ${kid} is compromised, and refused already.`);
  }
  return state;
}

async function assertUnused(ports: Administration, key: SigningKey, input: RetirementInput): Promise<void> {
  const now = ports.clock.now();
  if (key.verifyUntil !== null && key.verifyUntil <= now) return;
  const heldUntil = (key.retiringAt ?? now) + ISSUER_KEY_HOLD_SECONDS;
  if (now < heldUntil) {
    throw new JwtctlError(
      'ERR_KEY_RECENTLY_ACTIVE',
      `Key ${key.kid} stepped down a moment ago: for another ${formatDuration(heldUntil - now)} an issuer may still sign with it.`,
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
        `It cannot be said that no token lives under key ${key.kid}: not seen were ${report.missed.join('; ')}`,
      ),
    );
  }
}

function inUse(usage: KeyUsage, now: number): JwtctlError {
  const { kid, tokens, subjects, lastExp } = usage;
  const rest = formatDuration((lastExp ?? now) - now);
  const live =
    tokens === 1
      ? '1 token lives'
      : `${tokens} tokens of ${subjects === 1 ? 'one subject' : `${subjects} subjects`} live`;
  return new JwtctlError('ERR_KEY_IN_USE', `Under key ${kid} ${live}; the last one ends in ${rest}.`, {
    details: { kid, tokens, subjects, lastExp },
  });
}
