import { publicJwk } from '../jose/jwk-set.js';
import { keyId } from '../jose/thumbprint.js';
import { isKid, kidArgument } from '../model/kid.js';
import { isVerifyOnly, type SigningAlgorithm, type SigningKey, stateName } from '../model/signing-key.js';
import type { KeySnapshot, KeyTransition, NewSigningKey, SealedPrivateKey, Sealer } from '../ports/index.js';
import { JwtctlError } from '../shared/errors.js';
import { excerpt } from '../shared/text.js';
import { asActive, asPending, asVerifyOnly, type KeyGenerationPorts } from './generate.js';
import { type KeyInFile, keyRefused } from './private-key.js';
import { byAge, promote } from './rotation-plan.js';
import { type KeyPlan, updateKeys } from './update-keys.js';

export type KeyImportPorts = Pick<KeyGenerationPorts, 'database' | 'sealer' | 'clock' | 'actor'>;

export interface KeyImportInput {
  keys: readonly NamedKey[];
  maxTtlSeconds: number;
  /** The kid of the key that may sign. Default: the only key of the file, if no key signs yet. */
  sign?: string | undefined;
  /** Stores only the public keys, which verify until `verifyUntil` or without an end. */
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
  /** The kids of keys that the store had before, and that were not changed. */
  alreadyThere: string[];
  /** The key that signs after the import, and the one that signs next. */
  active: SigningKey | null;
  next: SigningKey | null;
}

/**
 * Gives each key of a file its `kid` and `alg`.
 * @throws JwtctlError (usage) `ERR_KID_INVALID`, `ERR_KEY_ALG_MISMATCH`; `ERR_JWK_SET_DUPLICATE` for two keys with the
 * same kid or modulus
 */
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
 * Adds all keys, or none. At most one of them may sign: it becomes `active` if no key is, else `pending`. The others
 * verify and never sign, so that an older key cannot become the next signer by accident. Leaves a key unchanged if the
 * store has it under the same `kid`, but lets a verify-only key sign if `sign` names it.
 * @throws JwtctlError (state) `ERR_KID_EXISTS`, `ERR_KEY_RETIRED`, `ERR_KEY_COMPROMISED`; `ERR_KEY_MATERIAL_EXISTS` if
 * the store has the key under another kid; `ERR_KEY_THUMBPRINT_COLLISION`; errors of {@link updateKeys}
 */
export async function importKeys(ports: KeyImportPorts, input: KeyImportInput): Promise<KeyImportOutcome> {
  const sealed = new Map<string, SealedPrivateKey>();
  const plan = async ({ keys }: KeySnapshot): Promise<KeyPlan<KeyImportOutcome>> => {
    const placements = planImport(keys, input);
    if (input.dryRun || placements.every(({ state }) => state === null)) {
      return { outcome: outcomeOf(placements, expectedRows(keys, placements, input, ports.clock.now())) };
    }
    // Before the transaction, because the command that prints the master key may be slow or fail.
    for (const { key, state } of placements) {
      if (isSigner(state) && !sealed.has(key.kid)) sealed.set(key.kid, await seal(ports.sealer, key));
    }
    return {
      changeAt: (now) => ({
        transitions: placements.flatMap((placement) => transitionsOf(placement, sealed, input, now)),
        added: placements.flatMap((placement) => rowOf(placement, sealed, input, now) ?? []),
        reason: null,
        finish: async (stores) => outcomeOf(placements, (await stores.keys.snapshot()).keys),
      }),
    };
  };
  return updateKeys(ports, plan, 'keys.import');
}

interface Placement {
  key: NamedKey;
  found: SigningKey | null;
  /** The new state of the key; null if it does not change. */
  state: 'pending' | 'active' | 'verify-only' | null;
}

function planImport(known: readonly SigningKey[], { keys, sign, verifyOnly }: KeyImportInput): Placement[] {
  const byKid = new Map(known.map((key) => [key.kid, key]));
  const byModulus = new Map(known.map((key) => [publicJwk(key).n, key]));
  const ids = new Map(known.map((key) => [key.id, key.kid]));
  const hasActive = known.some(({ state }) => state === 'active');
  const only = keys.length === 1 && !hasActive ? keys[0]?.kid : undefined;
  const signer = verifyOnly === undefined ? (sign ?? only) : undefined;
  return keys.map((key) => {
    const found = byKid.get(key.kid) ?? null;
    const twin = byModulus.get(publicJwk(key).n);
    if (found !== null) assertSame(found, key);
    else if (twin !== undefined) throw underAnotherKid(twin, key);
    else assertIdFree(ids, key);
    if (found !== null && !(key.kid === sign && isVerifyOnly(found))) return { key, found, state: null };
    if (key.kid !== signer) return { key, found, state: 'verify-only' };
    return { key, found, state: hasActive ? 'pending' : 'active' };
  });
}

function isSigner(state: Placement['state']): state is 'pending' | 'active' {
  return state === 'pending' || state === 'active';
}

/** Of a key that the store has as verify-only. */
function transitionsOf(
  { key: { kid }, found, state }: Placement,
  sealed: ReadonlyMap<string, SealedPrivateKey>,
  { maxTtlSeconds }: KeyImportInput,
  at: number,
): KeyTransition[] {
  const by = sealed.get(kid);
  if (found === null || by === undefined) return [];
  const policy = { maxTtlSeconds, clockToleranceSeconds: 0 };
  return [
    { kid, from: 'retiring', to: 'pending', at, by },
    ...(state === 'active' ? [promote(found, policy, at)] : []),
  ];
}

function rowOf(
  { key, found, state }: Placement,
  sealed: ReadonlyMap<string, SealedPrivateKey>,
  { maxTtlSeconds, verifyOnly }: KeyImportInput,
  now: number,
): NewSigningKey | null {
  if (found !== null || state === null) return null;
  const { kid, alg, bits, publicKey } = key;
  const part = { id: keyId(publicKey), kid, alg, bits, publicKey };
  if (state === 'verify-only') return asVerifyOnly(part, verifyOnly?.verifyUntil ?? null, now);
  const by = sealed.get(kid);
  const whole = { ...part, sealedPrivateKey: by?.sealed ?? '', masterKeyId: by?.masterKeyId ?? '' };
  return state === 'active' ? asActive(whole, maxTtlSeconds, now) : asPending(whole, now);
}

/** The rows after the import, for a dry run. */
function expectedRows(
  known: readonly SigningKey[],
  placements: readonly Placement[],
  input: KeyImportInput,
  now: number,
): SigningKey[] {
  const unset = {
    retiringAt: null,
    verifyUntil: null,
    retiredAt: null,
    compromisedAt: null,
    masterKeyId: null,
  };
  const upgraded = new Map(
    placements.flatMap(({ key, found, state }) => (found && isSigner(state) ? [[key.kid, state]] : [])),
  );
  const added = placements.flatMap((placement) => rowOf(placement, new Map(), input, now) ?? []);
  return [
    ...known.map((key) => ({ ...key, state: upgraded.get(key.kid) ?? key.state })),
    ...added.map((row) => ({ ...unset, ...row, masterKeyId: null, verifyUntil: row.verifyUntil ?? null })),
  ];
}

function outcomeOf(placements: readonly Placement[], rows: readonly SigningKey[]): KeyImportOutcome {
  return {
    keys: placements.flatMap(({ key }) => rows.find(({ kid }) => kid === key.kid) ?? []),
    alreadyThere: placements.flatMap(({ key, state }) => (state === null ? [key.kid] : [])),
    active: rows.find(({ state }) => state === 'active') ?? null,
    next: rows.filter(({ state }) => state === 'pending').sort(byAge)[0] ?? null,
  };
}

async function seal(sealer: Sealer, { kid, pkcs8 }: NamedKey): Promise<SealedPrivateKey> {
  if (pkcs8 === null) throw new JwtctlError('ERR_BUG', `Key ${kid} has no private key to seal.`);
  return sealer.seal(kid, pkcs8);
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
