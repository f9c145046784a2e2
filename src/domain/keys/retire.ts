import { ISSUER_KEY_HOLD_SECONDS } from '../model/lifetime.js';
import type { SigningKey } from '../model/signing-key.js';
import type { Administration, KeyTransition } from '../ports/index.js';
import type { WalkControl } from '../registry/walk-options.js';
import { formatDuration } from '../shared/duration.js';
import { JwtctlError } from '../shared/errors.js';
import { asSentence } from '../shared/text.js';
import { changeKeys } from './apply-change.js';
import { keyStoreChanged, requireKey } from './find-key.js';
import { countKeyUsage, type KeyUsage } from './usage.js';

export interface RetirementInput extends WalkControl {
  kid: string;
  /** Retire although tokens live under the key: they are refused from then on. */
  force: boolean;
  dryRun: boolean;
  clockToleranceSeconds: number;
}

/**
 * Ends a key: it verifies nothing any more, and its private key is wiped. A key that is retired already stays as it is.
 *
 * @throws JwtctlError (state) `ERR_KEY_ACTIVE`, `ERR_KEY_COMPROMISED`; `ERR_KEY_IN_USE` without `force`, naming how many
 * tokens of how many subjects live and when the last one ends; `ERR_KEY_RECENTLY_ACTIVE` without `force` while issuers may still sign
 */
export async function retireKey(ports: Administration, input: RetirementInput): Promise<SigningKey> {
  const key = await requireKey(ports.database, input.kid);
  if (key.state === 'retired') return key;
  assertRetirable(key);
  if (key.state === 'retiring' && !input.force) await assertUnused(ports, key, input);
  if (input.dryRun) return { ...key, state: 'retired' };

  return ports.database.transaction(async (stores) => {
    const now = ports.clock.now();
    const { revision, keys: current } = await stores.keys.snapshot();
    const found = current.find(({ kid }) => kid === key.kid);
    if (found?.state === 'retired') return found;
    // A key that moved on since it was looked at has to be looked at again: a pending one may have signed meanwhile.
    if (found?.state !== key.state) throw keyStoreChanged(key.kid);
    const transition: KeyTransition = {
      kid: key.kid,
      from: key.state === 'pending' ? 'pending' : 'retiring',
      to: 'retired',
      at: now,
    };
    const change = { revision, transitions: [transition], added: [] };
    const row = { at: now, actor: ports.actor, action: 'keys.retire', reason: input.force ? 'forced' : null };
    if (!(await changeKeys(stores, change, row))) throw keyStoreChanged(key.kid);
    return (await stores.keys.find(key.kid)) as SigningKey;
  });
}

/** A pending key has signed nothing, a retiring one signs nothing any more. */
function assertRetirable(key: SigningKey): void {
  if (key.state === 'active') {
    throw new JwtctlError('ERR_KEY_ACTIVE', `Key ${key.kid} is active: without it nothing would sign.`, {
      hint: 'Run `jwtctl keys rotate --now` first; a leaked key is ended with `jwtctl keys compromise`.',
    });
  }
  if (key.state === 'compromised') {
    throw new JwtctlError('ERR_KEY_COMPROMISED', `Key ${key.kid} is compromised, and refused already.`);
  }
}

async function assertUnused(ports: Administration, key: SigningKey, input: RetirementInput): Promise<void> {
  const now = ports.clock.now();
  if (key.verifyUntil !== null && key.verifyUntil <= now) return;
  const heldUntil = (key.retiringAt ?? now) + ISSUER_KEY_HOLD_SECONDS;
  if (now < heldUntil) {
    throw new JwtctlError(
      'ERR_KEY_RECENTLY_ACTIVE',
      `Key ${key.kid} stepped down a moment ago: for another ${formatDuration(heldUntil - now)} an issuer may still sign with it.`,
      { hint: 'Try again then, or use --force.', details: { heldUntil } },
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
      { hint: 'Try again when the whole registry answers, or use --force.' },
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
    hint: '`jwtctl keys rotate` retires it by itself when the time has come; --force refuses those tokens now.',
    details: { kid, tokens, subjects, lastExp },
  });
}
