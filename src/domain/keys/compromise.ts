import { writeAuditRow } from '../audit-log/write-audit-row.js';
import { type EventPolicy, ISSUER_KEY_HOLD_SECONDS } from '../model/lifetime.js';
import type { SigningAlgorithm, SigningKey } from '../model/signing-key.js';
import type {
  EntryStore,
  KeySnapshot,
  KeyTransition,
  RegistryScanner,
  Stores,
  VerifierRoster,
  WalkControl,
} from '../ports/index.js';
import { INTERRUPTED } from '../ports/registry-scanner.js';
import { type RemovedKeyEntries, removeKeyEntries } from '../registry/remove-key-entries.js';
import { eventExpiry } from '../security-log/record.js';
import { failureText, JwtctlError } from '../shared/errors.js';
import { requireKey } from './find-key.js';
import { asActive, asPending, type KeyGenerationPorts, makeSealedKey, type SealedKey } from './generate.js';
import { openPrivateKey } from './open-private-key.js';
import { byAge, promote } from './rotation-plan.js';
import { isPublished } from './signing-start.js';
import { type KeyPlan, readBack, updateKeys } from './update-keys.js';

export interface CompromisePolicy extends EventPolicy {
  publishLeadSeconds: number;
}

export interface CompromiseInput extends WalkControl {
  kid: string;
  reason: string;
  policy: CompromisePolicy;
  alg: SigningAlgorithm;
  bits: number;
  dryRun: boolean;
}

export interface CompromisePlan {
  transitions: KeyTransition[];
  /** Whether a new key has to sign at once: the compromised key was active, and no key is pending. */
  activatesNewKey: boolean;
  publishesNewKey: boolean;
  active: string | null;
  pending: string | null;
  isNotPrePublished: boolean;
}

export interface Compromise extends Pick<CompromisePlan, 'active' | 'pending' | 'isNotPrePublished'> {
  key: SigningKey;
  wasCompromised: boolean;
  /** Why a replacement key could not be generated; null if generation succeeded or was not needed. */
  generationFailure: string | null;
  /** The id in the security log; null for a dry run, or if the event has expired. */
  eventId: number | null;
}

export interface CompromiseReport extends Compromise {
  entries: RemovedKeyEntries;
  /** Why the active key does not open, which blocks issuing; null if it opens, or if that could not be checked. */
  openFailure: string | null;
  auditFailure: string | null;
}

export interface CompromisePorts extends KeyGenerationPorts {
  /** Called after the key is refused, so that a faulty registry cannot delay that. */
  openRegistry(): Promise<EntryStore & RegistryScanner & VerifierRoster>;
}

/**
 * Refuses a leaked key and every token signed with it.
 * 1. One transaction marks the key as compromised, activates another key, and records a security event.
 * 2. The key's entries are removed from the registry. A second walk confirms that none is left.
 * 3. A new pending key is published.
 *
 * A later run continues where this one stopped. After step 1, the key is refused: failures are in the report.
 * @throws JwtctlError before step 1: `ERR_KEY_UNKNOWN` (not_found), `ERR_INTERRUPTED`, errors of the database
 */
export async function compromiseKey(
  ports: CompromisePorts,
  input: CompromiseInput,
): Promise<CompromiseReport> {
  const compromise = await markCompromised(ports, input);
  const { key } = compromise;
  const entries = await removeKeyEntries(ports, key, input);
  if (input.dryRun) return { ...compromise, entries, openFailure: null, auditFailure: null };
  const needsAuditRow = entries.removed > 0 || !compromise.wasCompromised;
  const auditFailure = needsAuditRow ? await recordEntries(ports, input, entries) : null;
  const next = await publishNext(ports, input, compromise);
  const openFailure = await findOpenFailure(ports, compromise);
  return { ...compromise, ...next, entries, openFailure, auditFailure };
}

/** @param isStoreReadable if false, a key that cannot be read may be active, so no other key is activated */
export function planCompromise(
  keys: readonly SigningKey[],
  key: SigningKey,
  policy: CompromisePolicy,
  now: number,
  isStoreReadable = true,
): CompromisePlan {
  const others = keys.filter(({ kid }) => kid !== key.kid);
  const active = others.find(({ state }) => state === 'active');
  const pending = others.filter(({ state }) => state === 'pending').sort(byAge);
  const mayActivate = isStoreReadable && active === undefined;
  const next = mayActivate ? pending.shift() : undefined;
  const { kid, state: from } = key;
  return {
    transitions: [
      ...(from === 'compromised' ? [] : [{ kid, from, to: 'compromised', at: now } as const]),
      ...(next === undefined ? [] : [promote(next, policy, now)]),
    ],
    activatesNewKey: mayActivate && next === undefined,
    publishesNewKey: pending.length === 0,
    active: (active ?? next)?.kid ?? null,
    pending: pending[0]?.kid ?? null,
    isNotPrePublished: active === undefined && !isPublished(next, policy, now),
  };
}

async function markCompromised(ports: CompromisePorts, input: CompromiseInput): Promise<Compromise> {
  const { kid, policy, reason } = input;
  // Another key whose row is broken must not keep this one trusted.
  let brokenRow: JwtctlError | null = null;
  const plan = async ({ keys }: KeySnapshot): Promise<KeyPlan<Compromise>> => {
    const key = keys.find((known) => known.kid === kid) ?? (await requireKey(ports.database, kid));
    const wasCompromised = key.state === 'compromised';
    const planAt = (now: number) => planCompromise(keys, key, policy, now, brokenRow === null);
    const expected = planAt(ports.clock.now());
    if (input.dryRun) {
      return { outcome: { ...expected, key, wasCompromised, generationFailure: null, eventId: null } };
    }
    // Before the transaction, so that an active key exists at every moment.
    const { made, generationFailure } = expected.activatesNewKey
      ? await tryToGenerate(ports, input, keys)
      : { made: null, generationFailure: brokenRow && failureText(brokenRow) };
    if (input.signal?.aborted) throw interrupted(key);
    return {
      changeAt: (at) => {
        const { transitions, active, pending, isNotPrePublished } = planAt(at);
        return {
          transitions,
          added: made === null ? [] : [asActive(made, policy.maxTtlSeconds, at)],
          reason,
          finish: async (stores) => ({
            key: await readBack(stores, kid),
            wasCompromised,
            generationFailure,
            active: active ?? made?.kid ?? null,
            pending,
            isNotPrePublished,
            eventId: wasCompromised ? await eventIdOf(stores, kid) : await appendEvent(stores, input, at),
          }),
        };
      },
    };
  };
  return updateKeys(ports, plan, 'keys.compromise', (error) => {
    brokenRow = error;
  });
}

async function appendEvent(
  { keys, securityLog }: Stores,
  { kid, reason, policy }: CompromiseInput,
  at: number,
): Promise<number> {
  // An issuer may sign with a cached key for this long.
  const expiry = eventExpiry(await keys.longestLifetimes(), policy, at + ISSUER_KEY_HOLD_SECONDS);
  return securityLog.append({ type: 'key_compromised', kid, reason, at, ...expiry });
}

interface Generation {
  made: SealedKey | null;
  generationFailure: string | null;
}

/** Does not throw: an unreachable vault must not keep a leaked key trusted. */
async function tryToGenerate(
  ports: KeyGenerationPorts,
  { alg, bits }: CompromiseInput,
  known: readonly SigningKey[],
): Promise<Generation> {
  try {
    return { made: await makeSealedKey(ports, { alg, bits }, known), generationFailure: null };
  } catch (error) {
    return { made: null, generationFailure: failureText(error) };
  }
}

async function eventIdOf({ securityLog }: Stores, kid: string): Promise<number | null> {
  const events = await securityLog.findGlobal();
  return events.find((event) => event.type === 'key_compromised' && event.kid === kid)?.id ?? null;
}

/** Without an active key it does nothing, because a new key would have to be active. */
async function publishNext(
  ports: KeyGenerationPorts,
  { alg, bits, reason, signal }: CompromiseInput,
  { active, generationFailure }: Compromise,
): Promise<PublishOutcome> {
  if (active === null) return { pending: null, generationFailure };
  const plan = async ({ keys }: KeySnapshot): Promise<KeyPlan<PublishOutcome>> => {
    const next = keys.filter(({ state }) => state === 'pending').sort(byAge)[0];
    if (next !== undefined) return { outcome: { pending: next.kid, generationFailure: null } };
    if (signal?.aborted) return { outcome: { pending: null, generationFailure: INTERRUPTED } };
    const made = await makeSealedKey(ports, { alg, bits }, keys);
    return {
      changeAt: (now) => ({
        added: [asPending(made, now)],
        reason,
        finish: () => ({ pending: made.kid, generationFailure: null }),
      }),
    };
  };
  try {
    return await updateKeys(ports, plan, 'keys.compromise');
  } catch (error) {
    return { pending: null, generationFailure: failureText(error) };
  }
}

type PublishOutcome = Pick<Compromise, 'pending' | 'generationFailure'>;

/** Checked last: an active key that does not open is better than a leaked one that signs. */
async function findOpenFailure(ports: KeyGenerationPorts, { active }: Compromise): Promise<string | null> {
  try {
    const key = active === null ? null : await ports.database.keys.find(active);
    if (key !== null) await openPrivateKey(ports, key);
    return null;
  } catch (error) {
    return error instanceof JwtctlError && error.kind === 'unavailable' ? null : failureText(error);
  }
}

async function recordEntries(
  ports: KeyGenerationPorts,
  { kid, reason }: CompromiseInput,
  entries: RemovedKeyEntries,
): Promise<string | null> {
  const outcome = entries.complete && entries.after === 0 ? 'entries removed' : 'entries left';
  try {
    await writeAuditRow(ports, { action: 'keys.compromise', target: kid, outcome, reason });
    return null;
  } catch (error) {
    return failureText(error);
  }
}

function interrupted({ kid, state }: SigningKey): JwtctlError {
  return new JwtctlError('ERR_INTERRUPTED', `Interrupted: key ${kid} is still ${state}.`, {
    hint: 'Run the same command again.',
  });
}
