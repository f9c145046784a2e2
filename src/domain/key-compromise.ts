import { JwtctlError } from './errors.js';
import { changeKeys } from './key-change.js';
import {
  asActive,
  asPending,
  type KeyGenerationPorts,
  makeSealedKey,
  type SealedKey,
} from './key-generation.js';
import { requireKeyAmong } from './key-lookup.js';
import type { KeySnapshot, KeyTransition, TokenRegistry } from './ports.js';
import { eventExpiry } from './revocation.js';
import { byAge, ISSUER_KEY_HOLD_SECONDS, type LifetimePolicy, stepUp } from './rotation.js';
import type { SigningAlgorithm, SigningKey } from './signing-key.js';
import { type UprootedEntries, uprootEntries } from './uprooting.js';
import type { WalkControl } from './walk-control.js';

const ATTEMPTS = 20;

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
  isUnannounced: boolean;
}

/** What became of the keys. */
export interface Compromise extends Pick<CompromisePlan, 'active' | 'pending' | 'isUnannounced'> {
  key: SigningKey;
  /** Whether an earlier run had marked the key. */
  wasCompromised: boolean;
  /** Why a key that is wanted in its place could not be made; null where none is missing. */
  unmade: string | null;
}

export interface CompromiseReport extends Compromise {
  entries: UprootedEntries;
}

/**
 * Ends a key that somebody else may have, and everything under it, in this order: the key store refuses it, another key
 * signs, and the security log covers whatever it signed, all in one transaction; then its entries are removed from the
 * registry, and the whole registry is walked again to show that none is left. Run again, it does what is left.
 *
 * A registry that cannot be reached and a new key that cannot be made stand in the report: neither keeps the leaked key
 * alive.
 *
 * @throws JwtctlError `ERR_KEY_UNKNOWN` (not_found), what the database throws, AbortError: then nothing was done
 */
export async function compromiseKey(
  ports: KeyGenerationPorts & { registry: TokenRegistry },
  input: CompromiseInput,
): Promise<CompromiseReport> {
  const compromise = await markCompromised(ports, input);
  const { key } = compromise;
  const entries = await uprootEntries(ports, key, input);
  if (!input.dryRun && (entries.removed > 0 || !compromise.wasCompromised)) {
    const outcome = entries.complete && entries.after === 0 ? 'entries removed' : 'entries left';
    const row = { actor: ports.actor, action: 'keys.compromise', target: key.kid, outcome };
    await ports.database.transaction(({ auditLog }) =>
      auditLog.append({ ...row, at: ports.clock.now(), reason: input.reason }),
    );
  }
  return { ...compromise, entries };
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
      ...(next === undefined ? [] : [stepUp(next, policy, now)]),
    ],
    activatesNewKey: active === undefined && next === undefined,
    // The next rotation is to find one that verifiers know.
    publishesNewKey: pending.length === 0,
    active: (active ?? next)?.kid ?? null,
    pending: pending[0]?.kid ?? null,
    isUnannounced:
      active === undefined && (next === undefined || next.createdAt + policy.publishLeadSeconds > now),
  };
}

async function markCompromised(ports: KeyGenerationPorts, input: CompromiseInput): Promise<Compromise> {
  for (let attempt = 1; attempt <= ATTEMPTS; attempt++) {
    const snapshot = await ports.database.keys.snapshot();
    const key = requireKeyAmong(snapshot.keys, input.kid);
    const plan = planCompromise(snapshot.keys, key, input.policy, ports.clock.now());
    if (input.dryRun) return { ...plan, key, wasCompromised: key.state === 'compromised', unmade: null };
    const { made, unmade } = await tryToMake(ports, input, keysWanted(plan));
    input.signal?.throwIfAborted();
    const compromise = await commit(ports, input, snapshot, key, { made, unmade });
    if (compromise !== null) return compromise;
  }
  throw new JwtctlError(
    'unavailable',
    'ERR_DATABASE_CONFLICT',
    `The key store kept changing while key ${input.kid} was to be marked as compromised.`,
    { hint: 'Run the same command again.' },
  );
}

interface Making {
  made: readonly SealedKey[];
  unmade: string | null;
}

/** A vault that is away keeps a new key from being made, and must not keep a leaked one trusted. */
async function tryToMake(ports: KeyGenerationPorts, input: CompromiseInput, count: number): Promise<Making> {
  const made: SealedKey[] = [];
  try {
    while (made.length < count) made.push(await makeSealedKey(ports, { alg: input.alg, bits: input.bits }));
    return { made, unmade: null };
  } catch (error) {
    if (!(error instanceof JwtctlError)) throw error;
    return { made, unmade: error.message };
  }
}

/** Null, and nothing written, where the key store has changed meanwhile. */
async function commit(
  ports: KeyGenerationPorts,
  { kid, reason, policy }: CompromiseInput,
  { revision, keys: known }: KeySnapshot,
  found: SigningKey,
  { made, unmade }: Making,
): Promise<Compromise | null> {
  return ports.database.transaction(async (stores) => {
    const now = ports.clock.now();
    const plan = planCompromise(known, found, policy, now);
    const added = made.map((key, index) =>
      plan.activatesNewKey && index === 0 ? asActive(key, policy.maxTtlSeconds, now) : asPending(key, now),
    );
    const wasCompromised = found.state === 'compromised';
    if (plan.transitions.length > 0 || added.length > 0) {
      const row = { at: now, actor: ports.actor, action: 'keys.compromise', reason };
      const change = { revision, transitions: plan.transitions, added };
      if (!(await changeKeys(stores, change, row))) return null;
    }
    if (!wasCompromised) {
      // An issuer may sign with it for as long as it holds it.
      const expiresAt = eventExpiry(known, policy, now + ISSUER_KEY_HOLD_SECONDS);
      await stores.securityLog.append({ type: 'key_compromised', kid, reason, at: now, expiresAt });
    }
    return {
      key: (await stores.keys.find(kid)) ?? found,
      wasCompromised,
      unmade,
      active: plan.active ?? added.find(({ state }) => state === 'active')?.kid ?? null,
      pending: plan.pending ?? added.find(({ state }) => state === 'pending')?.kid ?? null,
      isUnannounced: plan.isUnannounced,
    };
  });
}

function keysWanted(plan: CompromisePlan): number {
  return Number(plan.activatesNewKey) + Number(plan.publishesNewKey);
}
