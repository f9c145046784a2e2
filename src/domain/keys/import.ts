import { publicJwk } from '../jose/jwk-set.js';
import { keyId } from '../jose/thumbprint.js';
import { collectKeys, type SkippedKey } from '../key-files/collect-keys.js';
import { type KeyInFile, keyRefused } from '../key-files/rsa-key.js';
import { isKid, kidArgument } from '../model/kid.js';
import { isVerifyOnly, type SigningAlgorithm, type SigningKey, stateName } from '../model/signing-key.js';
import type { KeySnapshot, KeyTransition, NewSigningKey, SealedPrivateKey, Sealer } from '../ports/index.js';
import { JwtctlError } from '../shared/errors.js';
import { excerpt } from '../shared/text.js';
import { asActive, asPending, asVerifyOnly, type KeyGenerationPorts } from './generate.js';
import { byAge, dueAt, promote } from './rotation-plan.js';
import { signsFrom } from './signing-start.js';
import { type KeyPlan, updateKeys } from './update-keys.js';

export type KeyImportPorts = Pick<KeyGenerationPorts, 'database' | 'sealer' | 'clock' | 'actor'>;

export interface NamedKeys {
  keys: readonly NamedKey[];
  /** The other keys of the file, with the reason. */
  skipped: readonly SkippedKey[];
}

export interface KeyImportInput extends NamedKeys {
  maxTtlSeconds: number;
  rotateAfterSeconds: number;
  publishLeadSeconds: number;
  /** The kid of the key that may sign. Default: the only key of the file, if no key signs yet. */
  sign?: string | undefined;
  /** Stores only the public keys, which verify until `verifyUntil` or without an end. */
  verifyOnly?: { verifyUntil: number | null } | undefined;
  /** Imports all keys or none. */
  isStrict?: boolean | undefined;
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
  /** The keys that were not imported: those of the input, and those that the store has no place for. */
  skipped: SkippedKey[];
  /** The key that signs after the import, and the one that signs next. */
  active: SigningKey | null;
  next: SigningKey | null;
  /** When a rotation may let `next` sign; null if there is none, or no active key. */
  signsFrom: number | null;
}

/**
 * Gives each key of a file its `kid` and `alg`. Skips a key with `ERR_KID_INVALID`, with `ERR_KEY_ALG_MISMATCH`, or with
 * `ERR_JWK_SET_DUPLICATE` if an earlier key has its kid or modulus.
 * @throws JwtctlError (usage) the first of these if no key is left, or with `isStrict`
 */
export async function nameKeys(
  file: { keys: readonly KeyInFile[]; skipped: readonly SkippedKey[] },
  given: {
    kid?: string | undefined;
    alg?: SigningAlgorithm | undefined;
    defaultAlg: SigningAlgorithm;
    isStrict?: boolean | undefined;
  },
): Promise<NamedKeys> {
  const seen = new Set<string>();
  const kidOf = ({ kid }: KeyInFile) => kid;
  const { keys, skipped } = await collectKeys(file.keys, kidOf, (key): NamedKey => {
    if (given.alg !== undefined && key.alg !== null && key.alg !== given.alg) {
      throw keyRefused(
        'ERR_KEY_ALG_MISMATCH',
        `${key.what} is for ${key.alg}, not for ${given.alg}. A key has one alg (RFC 7517 §4.4).`,
      );
    }
    const alg = given.alg ?? key.alg;
    const named = {
      ...key,
      kid: given.kid ?? usableKid(key),
      alg: alg ?? given.defaultAlg,
      isAlgGiven: alg !== null,
    };
    assertUnseen(seen, named);
    return named;
  });
  const all = [...file.skipped, ...skipped];
  if (given.isStrict && all[0] !== undefined) throw all[0].error;
  return { keys, skipped: all };
}

/**
 * Adds the keys. At most one of them may sign: it becomes `active` if no key is, else `pending`. The others
 * verify and never sign, so that an older key cannot become the next signer by accident. Leaves a key unchanged if the
 * store has it under the same `kid`, but lets a verify-only key sign if `sign` names it. Skips keys with `ERR_KID_EXISTS`,
 * `ERR_KEY_RETIRED`, `ERR_KEY_COMPROMISED`, `ERR_KEY_THUMBPRINT_COLLISION`, or `ERR_KEY_MATERIAL_EXISTS` (the store has the
 * key under another kid).
 * @throws JwtctlError (state) the first of these if no key is left, for the key of `sign`, or with `isStrict`;
 * `ERR_KEY_NOT_PENDING` if the key of `sign` signed before; errors of {@link updateKeys}
 */
export async function importKeys(ports: KeyImportPorts, input: KeyImportInput): Promise<KeyImportOutcome> {
  const sealed = new Map<string, SealedPrivateKey>();
  const plan = async ({ keys }: KeySnapshot): Promise<KeyPlan<KeyImportOutcome>> => {
    const planned = await planImport(keys, input);
    const { placements } = planned;
    if (input.dryRun || placements.every(({ state }) => state === null)) {
      const now = ports.clock.now();
      return { outcome: outcomeOf(planned, expectedRows(keys, placements, input, now), input, now) };
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
        finish: async (stores) => outcomeOf(planned, (await stores.keys.snapshot()).keys, input, now),
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

interface ImportPlan {
  placements: Placement[];
  skipped: SkippedKey[];
}

async function planImport(
  known: readonly SigningKey[],
  { keys, skipped: before, sign, verifyOnly, isStrict }: KeyImportInput,
): Promise<ImportPlan> {
  const byKid = new Map(known.map((key) => [key.kid, key]));
  const byModulus = new Map(known.map((key) => [publicJwk(key).n, key]));
  const ids = new Map(known.map((key) => [key.id, key.kid]));
  const hasActive = known.some(({ state }) => state === 'active');
  const only = keys.length === 1 && before.length === 0 && !hasActive ? keys[0]?.kid : undefined;
  const signer = verifyOnly === undefined ? (sign ?? only) : undefined;
  const kidOf = ({ kid }: NamedKey) => kid;
  const { keys: placements, skipped } = await collectKeys(keys, kidOf, (key): Placement => {
    const found = byKid.get(key.kid) ?? null;
    const twin = byModulus.get(publicJwk(key).n);
    if (found !== null) assertSame(found, key);
    else if (twin !== undefined) throw underAnotherKid(twin, key);
    else assertIdFree(ids, key);
    const changes = found === null || (key.kid === sign && maySignYet(found));
    if (!changes) return { key, found, state: null };
    if (key.kid !== signer) return { key, found, state: 'verify-only' };
    return { key, found, state: hasActive ? 'pending' : 'active' };
  });
  const refused = skipped.find(({ kid }) => isStrict || kid === sign);
  if (refused !== undefined) throw refused.error;
  return { placements, skipped: [...before, ...skipped] };
}

/** Returns false for a key that signs or is pending. @throws JwtctlError `ERR_KEY_NOT_PENDING` if it signed before */
function maySignYet(found: SigningKey): boolean {
  if (found.state !== 'retiring' || isVerifyOnly(found)) return isVerifyOnly(found);
  throw keyRefused(
    'ERR_KEY_NOT_PENDING',
    `Key ${found.kid} is retiring and cannot sign again.`,
    'Run `jwtctl keys list` to find the active key.',
  );
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
  if (by === undefined) throw new JwtctlError('ERR_BUG', `The private key of ${kid} is not sealed.`);
  const whole = { ...part, sealedPrivateKey: by.sealed, masterKeyId: by.masterKeyId };
  return state === 'active' ? asActive(whole, maxTtlSeconds, now) : asPending(whole, now);
}

/** The rows after the import, for a dry run. */
function expectedRows(
  known: readonly SigningKey[],
  placements: readonly Placement[],
  { maxTtlSeconds, verifyOnly }: KeyImportInput,
  now: number,
): SigningKey[] {
  const rows = new Map(known.map((key) => [key.kid, key]));
  for (const { key, found, state } of placements) {
    if (state === null) continue;
    const { kid, alg, bits, publicKey } = key;
    const isActive = state === 'active';
    rows.set(kid, {
      ...(found ?? { id: keyId(publicKey), kid, alg, bits, publicKey, createdAt: now }),
      state: state === 'verify-only' ? 'retiring' : state,
      maxTtlSeconds: isActive ? maxTtlSeconds : (found?.maxTtlSeconds ?? null),
      activatedAt: isActive ? now : null,
      verifyUntil: isSigner(state) ? null : (verifyOnly?.verifyUntil ?? null),
      ...{ masterKeyId: null, retiringAt: null, retiredAt: null, compromisedAt: null },
    });
  }
  return [...rows.values()];
}

function outcomeOf(
  { placements, skipped }: ImportPlan,
  rows: readonly SigningKey[],
  policy: Pick<KeyImportInput, 'rotateAfterSeconds' | 'publishLeadSeconds'>,
  now: number,
): KeyImportOutcome {
  const active = rows.find(({ state }) => state === 'active') ?? null;
  const next = rows.filter(({ state }) => state === 'pending').sort(byAge)[0] ?? null;
  return {
    keys: placements.flatMap(({ key }) => rows.find(({ kid }) => kid === key.kid) ?? []),
    alreadyThere: placements.flatMap(({ key, state }) => (state === null ? [key.kid] : [])),
    skipped,
    active,
    next,
    signsFrom: active && next && signsFrom(next, dueAt(active, policy), policy, now),
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

function assertUnseen(seen: Set<string>, key: NamedKey): void {
  const names = [`kid ${key.kid}`, `n ${publicJwk(key).n}`];
  if (names.some((name) => seen.has(name))) {
    throw keyRefused('ERR_JWK_SET_DUPLICATE', `${key.what} has the same kid or modulus as an earlier key.`);
  }
  for (const name of names) seen.add(name);
}
