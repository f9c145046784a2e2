import { ISSUER_KEY_HOLD_SECONDS, type LifetimePolicy } from '../model/lifetime.js';
import type { SigningAlgorithm, SigningKey } from '../model/signing-key.js';
import type {
  EntryStore,
  KeySnapshot,
  KeyTransition,
  RegistryScanner,
  Stores,
  VerifierRoster,
} from '../ports/index.js';
import { INTERRUPTED } from '../ports/registry-scanner.js';
import { type RemovedKeyEntries, removeKeyEntries } from '../registry/remove-key-entries.js';
import type { WalkControl } from '../registry/walk-options.js';
import { eventExpiry } from '../security-log/record.js';
import { failureText, JwtctlError } from '../shared/errors.js';
import { requireKeyAmong } from './find-key.js';
import { asActive, asPending, type KeyGenerationPorts, makeSealedKey, type SealedKey } from './generate.js';
import { openPrivateKey } from './open-pending.js';
import { byAge, promote } from './rotation-plan.js';
import { type KeyPlan, readBack, updateKeys } from './update-keys.js';

export interface CompromisePolicy extends LifetimePolicy {
  publishLeadSeconds: number;
}

export interface CompromiseInput extends WalkControl {
  kid: string;
  /** Why, for the security log and the audit log. */
  reason: string;
  policy: CompromisePolicy;
  /** What a new key is made for. */
  alg: SigningAlgorithm;
  bits: number;
  dryRun: boolean;
}

export interface CompromisePlan {
  transitions: KeyTransition[];
  /** Whether a new key has to be made that signs at once: the compromised one signed, and none is pending. */
  activatesNewKey: boolean;
  /** Whether a new key has to be made and published: none is pending (any more). */
  publishesNewKey: boolean;
  /** The kid that signs afterwards; null for a key that is still to be made. */
  active: string | null;
  /** The kid that signs next; null for none, or for one that is still to be made. */
  pending: string | null;
  /** Whether the key that signs from now on was not published for the lead: a verifier may not know it yet. */
  isNotPrePublished: boolean;
}

/** What became of the keys. */
export interface Compromise extends Pick<CompromisePlan, 'active' | 'pending' | 'isNotPrePublished'> {
  key: SigningKey;
  /** Whether an earlier run had marked the key. */
  wasCompromised: boolean;
  /** Why a key that is wanted in its place could not be made; null where none is missing. */
  unmade: string | null;
  /** Of the security log; null for a dry run, and where it has expired. */
  eventId: number | null;
}

export interface CompromiseReport extends Compromise {
  entries: RemovedKeyEntries;
  /** Why the key that signs now does not open, so that no token can be issued; null where it does, or nobody could tell. */
  unopened: string | null;
  /** Why the audit log tells nothing of the entries; null where it does, or there is nothing to tell. */
  unrecorded: string | null;
}

export interface CompromisePorts extends KeyGenerationPorts {
  /** Opened once the key is refused: whatever is wrong with the registry, or with how it is reached, comes after that. */
  openRegistry(): Promise<EntryStore & RegistryScanner & VerifierRoster>;
}

/**
 * Ends a key that somebody else may have, and everything under it. First one transaction, in which the key store refuses
 * it, another key signs, and the security log covers whatever it signed; then its entries are removed from the registry,
 * and the whole registry is walked again to show that none is left; last the key is published that is to sign next. Run
 * again, it does what is left.
 *
 * A pending key signs without further ado. Only where there is none a pair is made before the transaction, so that there
 * is no moment without a key that signs.
 *
 * From the transaction on nothing is thrown: what fails stands in the report, for the key is refused all the same.
 *
 * @throws JwtctlError `ERR_KEY_UNKNOWN` (not_found), `ERR_INTERRUPTED` (interrupted), what the database throws: then
 * nothing was done
 */
export async function compromiseKey(
  ports: CompromisePorts,
  input: CompromiseInput,
): Promise<CompromiseReport> {
  const compromise = await markCompromised(ports, input);
  const { key } = compromise;
  const entries = await removeKeyEntries(ports, key, input);
  if (input.dryRun) return { ...compromise, entries, unopened: null, unrecorded: null };
  const isWorthARow = entries.removed > 0 || !compromise.wasCompromised;
  const unrecorded = isWorthARow ? await recordEntries(ports, input, entries) : null;
  const next = await publishNext(ports, input, compromise);
  return { ...compromise, ...next, entries, unopened: await whyUnopened(ports, compromise), unrecorded };
}

/** Decides what happens to the keys. Pure; for a key that is compromised already, what an earlier run could not do. */
export function planCompromise(
  keys: readonly SigningKey[],
  key: SigningKey,
  policy: CompromisePolicy,
  now: number,
): CompromisePlan {
  const others = keys.filter(({ kid }) => kid !== key.kid);
  const active = others.find(({ state }) => state === 'active');
  const pending = others.filter(({ state }) => state === 'pending').sort(byAge);
  const next = active === undefined ? pending.shift() : undefined;
  const { kid, state: from } = key;
  return {
    transitions: [
      ...(from === 'compromised' ? [] : [{ kid, from, to: 'compromised', at: now } as const]),
      ...(next === undefined ? [] : [promote(next, policy, now)]),
    ],
    activatesNewKey: active === undefined && next === undefined,
    // The next rotation is to find one that verifiers know.
    publishesNewKey: pending.length === 0,
    active: (active ?? next)?.kid ?? null,
    pending: pending[0]?.kid ?? null,
    isNotPrePublished:
      active === undefined && (next === undefined || next.createdAt + policy.publishLeadSeconds > now),
  };
}

async function markCompromised(ports: CompromisePorts, input: CompromiseInput): Promise<Compromise> {
  const { kid, policy, reason } = input;
  const plan = async ({ keys }: KeySnapshot): Promise<KeyPlan<Compromise>> => {
    const key = requireKeyAmong(keys, kid);
    const wasCompromised = key.state === 'compromised';
    const foreseen = planCompromise(keys, key, policy, ports.clock.now());
    if (input.dryRun) return { outcome: { ...foreseen, key, wasCompromised, unmade: null, eventId: null } };
    // Made before the transaction, so that there is no moment without a key that signs.
    const { made, unmade } = foreseen.activatesNewKey ? await tryToMake(ports, input, keys) : NOTHING_TO_MAKE;
    if (input.signal?.aborted) throw interrupted(key);
    return {
      changeAt: (at) => {
        const { transitions, active, pending, isNotPrePublished } = planCompromise(keys, key, policy, at);
        // An issuer may sign with the key for as long as it holds it.
        const expiresAt = eventExpiry(keys, policy, at + ISSUER_KEY_HOLD_SECONDS);
        return {
          transitions,
          added: made === null ? [] : [asActive(made, policy.maxTtlSeconds, at)],
          reason,
          finish: async (stores) => ({
            key: await readBack(stores, kid),
            wasCompromised,
            unmade,
            active: active ?? made?.kid ?? null,
            pending,
            isNotPrePublished,
            eventId: wasCompromised
              ? await eventIdOf(stores, kid)
              : await stores.securityLog.append({ type: 'key_compromised', kid, reason, at, expiresAt }),
          }),
        };
      },
    };
  };
  return updateKeys(ports, plan, 'keys.compromise');
}

/** A pair, or why there is none. */
interface Making {
  made: SealedKey | null;
  unmade: string | null;
}

const NOTHING_TO_MAKE: Making = { made: null, unmade: null };

/** A vault that is away, or whatever else keeps a new key from being made, must not keep a leaked one trusted. */
async function tryToMake(
  ports: KeyGenerationPorts,
  { alg, bits }: CompromiseInput,
  known: readonly SigningKey[],
): Promise<Making> {
  try {
    return { made: await makeSealedKey(ports, { alg, bits }, known), unmade: null };
  } catch (error) {
    return { made: null, unmade: failureText(error) };
  }
}

async function eventIdOf({ securityLog }: Stores, kid: string): Promise<number | null> {
  const events = await securityLog.findGlobal();
  return events.find((event) => event.type === 'key_compromised' && event.kid === kid)?.id ?? null;
}

/** Publishes the key that signs next. Without an active key, that one is missing, and not the next. */
async function publishNext(
  ports: KeyGenerationPorts,
  { alg, bits, reason, signal }: CompromiseInput,
  { active, unmade }: Compromise,
): Promise<Pick<Compromise, 'pending' | 'unmade'>> {
  if (active === null) return { pending: null, unmade };
  const plan = async ({ keys }: KeySnapshot): Promise<KeyPlan<Pick<Compromise, 'pending' | 'unmade'>>> => {
    const next = keys.filter(({ state }) => state === 'pending').sort(byAge)[0];
    if (next !== undefined) return { outcome: { pending: next.kid, unmade: null } };
    if (signal?.aborted) return { outcome: { pending: null, unmade: INTERRUPTED } };
    const made = await makeSealedKey(ports, { alg, bits }, keys);
    return {
      changeAt: (now) => ({
        added: [asPending(made, now)],
        reason,
        finish: () => ({ pending: made.kid, unmade: null }),
      }),
    };
  };
  try {
    return await updateKeys(ports, plan, 'keys.compromise');
  } catch (error) {
    return { pending: null, unmade: failureText(error) };
  }
}

/** Told afterwards: a key that signs nothing is better than one that anybody signs with. */
async function whyUnopened(ports: KeyGenerationPorts, { active }: Compromise): Promise<string | null> {
  try {
    const key = active === null ? null : await ports.database.keys.find(active);
    if (key !== null) await openPrivateKey(ports, key);
    return null;
  } catch (error) {
    return error instanceof JwtctlError && error.kind === 'unavailable' ? null : failureText(error);
  }
}

/** @returns why it could not be recorded, or null */
async function recordEntries(
  { database, clock, actor }: KeyGenerationPorts,
  { kid, reason }: CompromiseInput,
  entries: RemovedKeyEntries,
): Promise<string | null> {
  const outcome = entries.complete && entries.after === 0 ? 'entries removed' : 'entries left';
  const row = { actor, action: 'keys.compromise', target: kid, outcome, reason };
  try {
    await database.transaction(({ auditLog }) => auditLog.append({ ...row, at: clock.now() }));
    return null;
  } catch (error) {
    return failureText(error);
  }
}

function interrupted({ kid, state }: SigningKey): JwtctlError {
  return new JwtctlError('ERR_INTERRUPTED', `Interrupted: key ${kid} is ${state}, as before.`, {
    hint: 'Run the same command again to end it.',
  });
}
