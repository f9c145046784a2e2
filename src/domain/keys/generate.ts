import { keyId } from '../jose/thumbprint.js';
import type { SigningAlgorithm, SigningKey } from '../model/signing-key.js';
import type { Database, KeyPairGenerator, KeySnapshot, NewSigningKey, Sealer } from '../ports/index.js';
import { JwtctlError } from '../shared/errors.js';
import { type KeyPlan, type KeyUpdatePorts, readBack, updateKeys } from './update-keys.js';

export interface KeyGenerationPorts extends KeyUpdatePorts {
  sealer: Sealer;
  generator: KeyPairGenerator;
}

export interface KeyGenerationInput {
  /** Default: the RFC 7638 thumbprint. */
  kid?: string | undefined;
  alg: SigningAlgorithm;
  bits: number;
  count: number;
  maxTtlSeconds: number;
  signal?: AbortSignal;
}

/** Adds keys as `pending`, the first as `active` if none is. @throws JwtctlError `ERR_KID_EXISTS` (state) */
export async function generateKeys(
  ports: KeyGenerationPorts,
  input: KeyGenerationInput,
): Promise<SigningKey[]> {
  const keys: SigningKey[] = [];
  while (keys.length < input.count && !input.signal?.aborted) keys.push(await generateKey(ports, input));
  return keys;
}

export interface GenerationPlan extends Pick<KeyGenerationInput, 'alg' | 'bits' | 'count'> {
  kid: string | null;
  firstState: 'active' | 'pending';
}

export async function planGeneration(database: Database, input: KeyGenerationInput): Promise<GenerationPlan> {
  if (input.kid !== undefined && (await database.keys.find(input.kid)) !== null) throw kidExists(input.kid);
  const { keys } = await database.keys.snapshot();
  const firstState = keys.some((key) => key.state === 'active') ? 'pending' : 'active';
  return { kid: input.kid ?? null, alg: input.alg, bits: input.bits, count: input.count, firstState };
}

/** Call it outside a transaction, because RSA generation would hold row locks for too long. */
export async function makeSealedKey(
  ports: Pick<KeyGenerationPorts, 'generator' | 'sealer'>,
  input: { kid?: string | undefined; alg: SigningAlgorithm; bits: number },
  known: ReadonlyArray<Pick<SigningKey, 'id'>> = [],
): Promise<SealedKey> {
  for (;;) {
    const pair = await ports.generator.generate(input.bits);
    const kid = input.kid ?? pair.thumbprint;
    // A thumbprint that begins with - would read as a flag on a command line.
    if (input.kid === undefined && kid.startsWith('-')) continue;
    const id = keyId(pair.publicKey);
    if (known.some((key) => key.id === id)) continue;
    const { alg, bits } = input;
    return sealKey(ports.sealer, { id, kid, alg, bits, publicKey: pair.publicKey }, pair.pkcs8);
  }
}

async function sealKey(
  sealer: Sealer,
  key: Pick<SealedKey, 'id' | 'kid' | 'alg' | 'bits' | 'publicKey'>,
  pkcs8: Uint8Array,
): Promise<SealedKey> {
  const { sealed, masterKeyId } = await sealer.seal(key.kid, pkcs8);
  return { ...key, sealedPrivateKey: sealed, masterKeyId };
}

export type SealedKey = Pick<NewSigningKey, 'id' | 'kid' | 'alg' | 'bits' | 'publicKey'> & {
  sealedPrivateKey: string;
  masterKeyId: string;
};

/** Such a key verifies until `verifyUntil`, or without an end, and never signs. */
export function asVerifyOnly(
  key: Omit<SealedKey, 'sealedPrivateKey' | 'masterKeyId'>,
  verifyUntil: number | null,
  now: number,
): NewSigningKey {
  const none = { sealedPrivateKey: null, masterKeyId: null, maxTtlSeconds: null, activatedAt: null };
  return { ...key, ...none, state: 'retiring', createdAt: now, verifyUntil };
}

export function asPending(key: SealedKey, now: number): NewSigningKey {
  return { ...key, state: 'pending', maxTtlSeconds: null, createdAt: now, activatedAt: null };
}

export function asActive(key: SealedKey, maxTtlSeconds: number, now: number): NewSigningKey {
  return { ...key, state: 'active', maxTtlSeconds, createdAt: now, activatedAt: now };
}

async function generateKey(ports: KeyGenerationPorts, input: KeyGenerationInput): Promise<SigningKey> {
  let made: SealedKey | undefined;
  const plan = async ({ keys }: KeySnapshot): Promise<KeyPlan<SigningKey>> => {
    const kid = input.kid ?? made?.kid;
    if (keys.some((key) => key.kid === kid)) throw kidExists(String(kid));
    if (made === undefined || keys.some(({ id }) => id === made?.id)) {
      made = await makeSealedKey(ports, input, keys);
    }
    const key = made;
    const isFirst = keys.every(({ state }) => state !== 'active');
    return {
      changeAt: (now) => ({
        added: [isFirst ? asActive(key, input.maxTtlSeconds, now) : asPending(key, now)],
        reason: null,
        finish: (stores) => readBack(stores, key.kid),
      }),
    };
  };
  return updateKeys(ports, plan, 'keys.generate');
}

function kidExists(kid: string): JwtctlError {
  return new JwtctlError('ERR_KID_EXISTS', `Key ${kid} already exists.`);
}
