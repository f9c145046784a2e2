import { publicJwk } from '../jose/jwk-set.js';
import { keyId } from '../model/key-id.js';
import { isKid } from '../model/kid.js';
import type { SigningAlgorithm, SigningKey } from '../model/signing-key.js';
import type { KeySnapshot, NewSigningKey, Sealer } from '../ports/index.js';
import type { JwtctlError } from '../shared/errors.js';
import { excerpt } from '../shared/text.js';
import { asActive, asPending, type KeyGenerationPorts, type SealedKey } from './generate.js';
import { type KeyInFile, keyRefused } from './private-key.js';
import { type KeyPlan, readBack, updateKeys } from './update-keys.js';

export type KeyImportPorts = Pick<KeyGenerationPorts, 'database' | 'sealer' | 'clock' | 'actor'>;

export interface KeyImportInput {
  /** Of all of them or of none. */
  keys: readonly NamedKey[];
  /** The longest lifetime that tokens are given, in seconds. */
  maxTtlSeconds: number;
  dryRun: boolean;
}

/** A key as it is to stand in the key store. */
export interface NamedKey extends KeyInFile {
  kid: string;
  alg: SigningAlgorithm;
  /** Whether somebody asked for this `alg`: the file, or who imports it. */
  isAlgGiven: boolean;
}

export interface KeyImportOutcome {
  /** In the order of the file. */
  keys: SigningKey[];
  /** The kids of those that were there before, with the same material: nothing was done about them. */
  alreadyThere: string[];
  /** The kid that signs from now on, because no key was active; null for none. */
  activated: string | null;
}

/**
 * Gives each key of a file its `kid` and its `alg`.
 *
 * @param given what was asked for beside the file; a kid only for a single key
 * @throws JwtctlError (usage) `ERR_KID_INVALID`, `ERR_KEY_ALG_MISMATCH`; `ERR_JWK_SET_DUPLICATE` where two keys have one
 * kid or one modulus
 */
export function nameKeys(
  keys: readonly KeyInFile[],
  given: { kid?: string; alg?: SigningAlgorithm; defaultAlg: SigningAlgorithm },
): NamedKey[] {
  const named = keys.map((key): NamedKey => {
    if (given.alg !== undefined && key.alg !== null && key.alg !== given.alg) {
      throw keyRefused(
        'ERR_KEY_ALG_MISMATCH',
        `${key.what} is for ${key.alg}, not for ${given.alg}. A key has one alg (RFC 7517 §4.4).`,
      );
    }
    const alg = given.alg ?? key.alg;
    return {
      ...key,
      kid: given.kid ?? usableKid(key),
      alg: alg ?? given.defaultAlg,
      isAlgGiven: alg !== null,
    };
  });
  assertDistinct(named);
  return named;
}

/**
 * Adds pairs that were made elsewhere: `active` where no key is active yet, else `pending`. A key that is there with the
 * same `kid` and the same material, and is neither retired nor compromised, stays as it is.
 *
 * @throws JwtctlError (state) `ERR_KID_EXISTS`, `ERR_KEY_RETIRED`, `ERR_KEY_COMPROMISED`; `ERR_KEY_MATERIAL_EXISTS` where
 * it is there under another kid: with two names for one key, ending one would leave the other; `ERR_KEY_THUMBPRINT_COLLISION` where
 * another key has its id. `ERR_DATABASE_CONFLICT` (unavailable)
 */
export async function importKeys(ports: KeyImportPorts, input: KeyImportInput): Promise<KeyImportOutcome> {
  const { maxTtlSeconds } = input;
  const sealed = new Map<string, SealedKey>();
  const plan = async ({ keys }: KeySnapshot): Promise<KeyPlan<KeyImportOutcome>> => {
    const placements = planImport(keys, input.keys);
    const missing = placements.filter(({ found }) => found === null);
    if (input.dryRun || missing.length === 0) {
      return { outcome: outcomeOf(placements, foreseen(placements, maxTtlSeconds, ports.clock.now())) };
    }
    // Before the transaction, because the command that prints the master key may be slow, or fail.
    for (const { key } of missing) {
      if (!sealed.has(key.kid)) sealed.set(key.kid, await seal(ports.sealer, key));
    }
    return {
      changeAt: (now) => ({
        added: missing.map(({ key, state }) =>
          asNew(sealed.get(key.kid) as SealedKey, state, maxTtlSeconds, now),
        ),
        reason: null,
        finish: async (stores) => {
          const rows: SigningKey[] = [];
          for (const { key } of placements) rows.push(await readBack(stores, key.kid));
          return outcomeOf(placements, rows);
        },
      }),
    };
  };
  return updateKeys(ports, plan, 'keys.import');
}

interface Placement {
  key: NamedKey;
  /** The row that is there already. */
  found: SigningKey | null;
  /** What the key comes to where there is none. */
  state: 'pending' | 'active';
}

function planImport(known: readonly SigningKey[], keys: readonly NamedKey[]): Placement[] {
  const byKid = new Map(known.map((key) => [key.kid, key]));
  const byModulus = new Map(known.map((key) => [publicJwk(key).n, key]));
  const ids = new Map(known.map((key) => [key.id, key.kid]));
  let isActiveWanted = known.every(({ state }) => state !== 'active');
  return keys.map((key) => {
    const found = byKid.get(key.kid) ?? null;
    const twin = byModulus.get(publicJwk(key).n);
    if (found !== null) assertSame(found, key);
    else if (twin !== undefined) throw underAnotherKid(twin, key);
    else assertIdFree(ids, key);
    const state = found === null && isActiveWanted ? 'active' : 'pending';
    if (state === 'active') isActiveWanted = false;
    return { key, found, state };
  });
}

/** The rows as they would be. Nothing is sealed, so there is no master key to name. */
function foreseen(plan: readonly Placement[], maxTtlSeconds: number, now: number): SigningKey[] {
  const lacking = { retiringAt: null, verifyUntil: null, retiredAt: null, compromisedAt: null };
  return plan.map(({ key, found, state }) => {
    if (found !== null) return found;
    const { kid, alg, bits, publicKey } = key;
    const id = keyId(publicKey);
    const sealed = { id, kid, alg, bits, publicKey, sealedPrivateKey: '', masterKeyId: '' };
    return { ...asNew(sealed, state, maxTtlSeconds, now), ...lacking, masterKeyId: null };
  });
}

function outcomeOf(plan: readonly Placement[], keys: SigningKey[]): KeyImportOutcome {
  const alreadyThere = plan.flatMap(({ found }) => found?.kid ?? []);
  const activated = plan.find(({ state }) => state === 'active')?.key.kid ?? null;
  return { keys, alreadyThere, activated };
}

async function seal(sealer: Sealer, key: NamedKey): Promise<SealedKey> {
  const { kid, alg, bits, publicKey, pkcs8 } = key;
  const { sealed, masterKeyId } = await sealer.seal(kid, pkcs8);
  const id = keyId(publicKey);
  return { id, kid, alg, bits, publicKey, sealedPrivateKey: sealed, masterKeyId };
}

function asNew(
  key: SealedKey,
  state: 'pending' | 'active',
  maxTtlSeconds: number,
  now: number,
): NewSigningKey {
  return state === 'active' ? asActive(key, maxTtlSeconds, now) : asPending(key, now);
}

/** A key that has ended does not come back: whoever was told so goes by it. */
function assertSame(found: SigningKey, key: NamedKey): void {
  const [there, here] = [publicJwk(found), publicJwk(key)];
  if (there.n !== here.n || there.e !== here.e) {
    throw keyRefused(
      'ERR_KID_EXISTS',
      `There is a key ${key.kid} already, with other material. ${key.what} was not imported.`,
    );
  }
  if (found.state === 'retired' || found.state === 'compromised') {
    throw keyRefused(
      found.state === 'retired' ? 'ERR_KEY_RETIRED' : 'ERR_KEY_COMPROMISED',
      `Key ${key.kid} is ${found.state}, and does not come back.`,
      'Run `jwtctl keys generate` for a new one.',
    );
  }
  if (key.isAlgGiven && found.alg !== key.alg) {
    throw keyRefused(
      'ERR_KID_EXISTS',
      `There is a key ${key.kid} already, which is for ${found.alg} and not for ${key.alg}.`,
      'Run `jwtctl keys generate` for a key of another alg.',
    );
  }
}

/** Of two names for one key, ending one would leave the other. */
function underAnotherKid(twin: SigningKey, key: NamedKey): JwtctlError {
  return keyRefused(
    'ERR_KEY_MATERIAL_EXISTS',
    `${key.what} is there already: it is key ${twin.kid}, which is ${twin.state}.`,
    `Run \`jwtctl keys show ${twin.kid}\`.`,
  );
}

/** Registry entries could not tell the two keys apart. Among a hundred keys, the chance of such a collision is about 1 in 200,000. */
function assertIdFree(ids: Map<number, string>, key: NamedKey): void {
  const id = keyId(key.publicKey);
  const other = ids.get(id);
  ids.set(id, key.kid);
  if (other === undefined) return;
  throw keyRefused(
    'ERR_KEY_THUMBPRINT_COLLISION',
    `${key.what} was not imported: its thumbprint begins with the same bits as that of key ${other}.`,
    `Use another key, or run \`jwtctl keys purge\` once key ${other} is retired.`,
  );
}

function usableKid({ kid, thumbprint, what }: KeyInFile): string {
  const chosen = kid ?? thumbprint;
  if (isKid(chosen)) return chosen;
  throw keyRefused(
    'ERR_KID_INVALID',
    kid === null
      ? `${what} has no kid, and its thumbprint ${thumbprint} cannot be one.`
      : `The kid '${excerpt(kid)}' of a key cannot be a kid here. ${what} was not imported.`,
  );
}

function assertDistinct(keys: readonly NamedKey[]): void {
  const seen = new Set<string>();
  for (const key of keys) {
    const { n } = publicJwk(key);
    if (seen.has(`kid ${key.kid}`) || seen.has(`n ${n}`)) {
      throw keyRefused(
        'ERR_JWK_SET_DUPLICATE',
        `${key.what} has the kid or the modulus of a key before it.`,
        'Leave one of the two out.',
      );
    }
    seen.add(`kid ${key.kid}`).add(`n ${n}`);
  }
}
