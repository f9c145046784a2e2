import { publicJwk } from '../jose/jwk-set.js';
import { keyId } from '../jose/thumbprint.js';
import { isKid, kidArgument } from '../model/kid.js';
import { type SigningAlgorithm, type SigningKey, stateName } from '../model/signing-key.js';
import type { KeySnapshot, NewSigningKey, Sealer } from '../ports/index.js';
import { JwtctlError } from '../shared/errors.js';
import { excerpt } from '../shared/text.js';
import { asActive, asPending, asVerifyOnly, type KeyGenerationPorts, type SealedKey } from './generate.js';
import { type KeyInFile, keyRefused } from './private-key.js';
import { type KeyPlan, readBack, updateKeys } from './update-keys.js';

export type KeyImportPorts = Pick<KeyGenerationPorts, 'database' | 'sealer' | 'clock' | 'actor'>;

export interface KeyImportInput {
  keys: readonly NamedKey[];
  maxTtlSeconds: number;
  /** Stores only the public keys, which verify until `verifyUntil` or without an end. Default: the keys may sign. */
  verifyOnly?: { verifyUntil: number | null } | undefined;
  dryRun: boolean;
}

export interface NamedKey extends KeyInFile {
  kid: string;
  alg: SigningAlgorithm;
  /** False if `alg` is the default: neither the file nor the caller gave one. */
  isAlgGiven: boolean;
}

export interface KeyImportOutcome {
  keys: SigningKey[];
  /** The kids of keys that the store had before. */
  alreadyThere: string[];
  activated: string | null;
}

/** @throws JwtctlError (usage) `ERR_KID_INVALID`, `ERR_KEY_ALG_MISMATCH`, `ERR_JWK_SET_DUPLICATE` */
export function nameKeys(
  keys: readonly KeyInFile[],
  given: { kid?: string | undefined; alg?: SigningAlgorithm | undefined; defaultAlg: SigningAlgorithm },
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
 * Adds all keys of a file as `pending`, or none. The first one becomes `active` if no key is. Leaves a key
 * unchanged if the store has it under the same `kid`.
 * @throws JwtctlError (state) `ERR_KID_EXISTS`, `ERR_KEY_RETIRED`, `ERR_KEY_COMPROMISED`,
 * `ERR_KEY_MATERIAL_EXISTS`, `ERR_KEY_THUMBPRINT_COLLISION`; errors of {@link updateKeys}
 */
export async function importKeys(ports: KeyImportPorts, input: KeyImportInput): Promise<KeyImportOutcome> {
  const { maxTtlSeconds, verifyOnly } = input;
  const sealed = new Map<string, SealedKey>();
  const plan = async ({ keys }: KeySnapshot): Promise<KeyPlan<KeyImportOutcome>> => {
    const placements = planImport(keys, input.keys, verifyOnly);
    const missing = placements.filter(({ found }) => found === null);
    if (input.dryRun || missing.length === 0) {
      return { outcome: outcomeOf(placements, expectedRows(placements, input, ports.clock.now())) };
    }
    // Before the transaction, because the command that prints the master key may be slow or fail.
    for (const { key, state } of missing) {
      if (state !== 'verify-only' && !sealed.has(key.kid)) sealed.set(key.kid, await seal(ports.sealer, key));
    }
    return {
      changeAt: (now) => ({
        added: missing.map(({ key, state }) =>
          state === 'verify-only'
            ? asVerifyOnly(publicPart(key), verifyOnly?.verifyUntil ?? null, now)
            : asNew(sealed.get(key.kid) as SealedKey, state, maxTtlSeconds, now),
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
  found: SigningKey | null;
  state: 'pending' | 'active' | 'verify-only';
}

function planImport(
  known: readonly SigningKey[],
  keys: readonly NamedKey[],
  verifyOnly: KeyImportInput['verifyOnly'],
): Placement[] {
  const byKid = new Map(known.map((key) => [key.kid, key]));
  const byModulus = new Map(known.map((key) => [publicJwk(key).n, key]));
  const ids = new Map(known.map((key) => [key.id, key.kid]));
  let needsActive = known.every(({ state }) => state !== 'active');
  return keys.map((key) => {
    const found = byKid.get(key.kid) ?? null;
    const twin = byModulus.get(publicJwk(key).n);
    if (found !== null) assertSame(found, key);
    else if (twin !== undefined) throw underAnotherKid(twin, key);
    else assertIdFree(ids, key);
    if (verifyOnly !== undefined) return { key, found, state: 'verify-only' };
    const state = found === null && needsActive ? 'active' : 'pending';
    if (state === 'active') needsActive = false;
    return { key, found, state };
  });
}

function expectedRows(
  plan: readonly Placement[],
  { maxTtlSeconds, verifyOnly }: KeyImportInput,
  now: number,
): SigningKey[] {
  const unset = { retiringAt: null, verifyUntil: null, retiredAt: null, compromisedAt: null };
  return plan.map(({ key, found, state }) => {
    if (found !== null) return found;
    const part = publicPart(key);
    if (state === 'verify-only') {
      const verifyUntil = verifyOnly?.verifyUntil ?? null;
      return { ...unset, ...asVerifyOnly(part, verifyUntil, now), masterKeyId: null, verifyUntil };
    }
    const sealed = { ...part, sealedPrivateKey: '', masterKeyId: '' };
    return { ...asNew(sealed, state, maxTtlSeconds, now), ...unset, masterKeyId: null };
  });
}

function outcomeOf(plan: readonly Placement[], keys: SigningKey[]): KeyImportOutcome {
  const alreadyThere = plan.flatMap(({ found }) => found?.kid ?? []);
  const activated = plan.find(({ state }) => state === 'active')?.key.kid ?? null;
  return { keys, alreadyThere, activated };
}

function publicPart({
  kid,
  alg,
  bits,
  publicKey,
}: NamedKey): Pick<SealedKey, 'id' | 'kid' | 'alg' | 'bits' | 'publicKey'> {
  return { id: keyId(publicKey), kid, alg, bits, publicKey };
}

async function seal(sealer: Sealer, key: NamedKey): Promise<SealedKey> {
  if (key.pkcs8 === null) throw new JwtctlError('ERR_BUG', `Key ${key.kid} has no private key to seal.`);
  const { sealed, masterKeyId } = await sealer.seal(key.kid, key.pkcs8);
  return { ...publicPart(key), sealedPrivateKey: sealed, masterKeyId };
}

function asNew(
  key: SealedKey,
  state: 'pending' | 'active',
  maxTtlSeconds: number,
  now: number,
): NewSigningKey {
  return state === 'active' ? asActive(key, maxTtlSeconds, now) : asPending(key, now);
}

function assertSame(found: SigningKey, key: NamedKey): void {
  const [there, here] = [publicJwk(found), publicJwk(key)];
  if (there.n !== here.n || there.e !== here.e) {
    throw keyRefused(
      'ERR_KID_EXISTS',
      `A different key ${key.kid} already exists. ${key.what} was not imported.`,
    );
  }
  if (found.state === 'retired' || found.state === 'compromised') {
    throw keyRefused(
      found.state === 'retired' ? 'ERR_KEY_RETIRED' : 'ERR_KEY_COMPROMISED',
      `Key ${key.kid} is ${found.state} and cannot be imported again.`,
      'Run `jwtctl keys generate` for a new key.',
    );
  }
  if (key.isAlgGiven && found.alg !== key.alg) {
    throw keyRefused(
      'ERR_KID_EXISTS',
      `Key ${key.kid} already exists with alg ${found.alg}, not ${key.alg}.`,
      'Run `jwtctl keys generate` for a key of another alg.',
    );
  }
}

/** With two kids for one key, retiring one would leave the other trusted. */
function underAnotherKid(twin: SigningKey, key: NamedKey): JwtctlError {
  return keyRefused(
    'ERR_KEY_MATERIAL_EXISTS',
    `${key.what} already exists as key ${twin.kid}, which is ${stateName(twin)}.`,
    `Run \`jwtctl keys show ${kidArgument(twin.kid)}\`.`,
  );
}

/** Registry entries refer to a key by its id. Among 100 keys, a collision has a chance of 1 in 200,000. */
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
  if (kid === null) return thumbprint;
  if (isKid(kid)) return kid;
  throw keyRefused('ERR_KID_INVALID', `'${excerpt(kid)}' is not a valid kid. ${what} was not imported.`);
}

function assertDistinct(keys: readonly NamedKey[]): void {
  const seen = new Set<string>();
  for (const key of keys) {
    const { n } = publicJwk(key);
    if (seen.has(`kid ${key.kid}`) || seen.has(`n ${n}`)) {
      throw keyRefused(
        'ERR_JWK_SET_DUPLICATE',
        `${key.what} has the same kid or modulus as an earlier key.`,
        'Remove one of the two.',
      );
    }
    seen.add(`kid ${key.kid}`).add(`n ${n}`);
  }
}
