import type { JsonWebKey, KeyObject } from 'node:crypto';
import { type PublicJwk, publicJwk } from '../jose/jwk-set.js';
import { isTrusted, isVerifyOnly, type KeyState, type SigningKey } from '../model/signing-key.js';
import type { Clock, Database, PrivateFile, Sealer } from '../ports/index.js';
import { JwtctlError } from '../shared/errors.js';
import { requireKey } from './find-key.js';
import { toPrivateKey } from './open-private-key.js';

export interface KeyExportPorts {
  database: Database;
  sealer: Sealer;
  clock: Clock;
  actor: string;
}

export interface PrivateExport {
  keys: readonly SigningKey[];
  format: 'pem' | 'jwks';
  file: PrivateFile;
  signal?: AbortSignal;
}

// RFC 7517 §5 gives the order no meaning. People read the active key first.
const STATES: readonly KeyState[] = ['active', 'pending', 'retiring'];

/** @throws JwtctlError `ERR_KEY_UNKNOWN` (not_found); `ERR_PRIVATE_KEY_MISSING`, `ERR_NO_KEYS` (state) */
export async function findExportable(
  database: Pick<Database, 'keys'>,
  kid: string | undefined,
): Promise<[SigningKey, ...SigningKey[]]> {
  if (kid !== undefined) {
    const key = await requireKey(database, kid);
    if (!isTrusted(key.state) || isVerifyOnly(key)) throw privateKeyMissing(key.kid);
    return [key];
  }
  const { keys } = await database.keys.snapshot();
  const [first, ...others] = STATES.flatMap((state) =>
    keys.filter((key) => key.state === state && !isVerifyOnly(key)),
  );
  if (first !== undefined) return [first, ...others];
  throw new JwtctlError('ERR_NO_KEYS', 'There is no key with a private key.');
}

/**
 * Writes private keys into a new file, as PKCS#8 PEM or a JWK Set. The audit log records it before the first
 * secret byte reaches the disk, so that a crash cannot hide a leak. Removes the file if anything fails.
 * @throws JwtctlError `ERR_PRIVATE_KEY_MISSING` (state); errors of the sealer, the stores, and `file`
 */
export async function exportPrivateKeys(
  ports: KeyExportPorts,
  { keys, format, file, signal }: PrivateExport,
): Promise<void> {
  const opened: OpenedKey[] = [];
  for (const key of keys) opened.push({ key, privateKey: await openKey(ports, key) });
  const text = format === 'pem' ? pemOf(opened) : jwkSetOf(opened);

  signal?.throwIfAborted();
  await file.create();
  try {
    await audit(ports, keys, `to ${file.path}`);
    await file.append(text);
    await file.close();
  } catch (error) {
    await file.discard();
    throw error;
  }
}

/** Fails as {@link exportPrivateKeys} would, for a dry run. */
export async function assertExportable(
  ports: Pick<KeyExportPorts, 'database' | 'sealer'>,
  keys: readonly SigningKey[],
): Promise<void> {
  for (const key of keys) await openKey(ports, key);
}

interface OpenedKey {
  key: SigningKey;
  privateKey: KeyObject;
}

async function openKey(
  { database, sealer }: Pick<KeyExportPorts, 'database' | 'sealer'>,
  key: SigningKey,
): Promise<KeyObject> {
  const sealed = await database.keys.findSealed(key.kid);
  if (sealed === null) throw privateKeyMissing(key.kid);
  return toPrivateKey(key, await sealer.open(key.kid, sealed));
}

async function audit(
  { database, clock, actor }: KeyExportPorts,
  keys: readonly SigningKey[],
  reason: string,
): Promise<void> {
  await database.transaction(async ({ auditLog }) => {
    const at = clock.now();
    const row = { at, actor, action: 'keys.export', outcome: 'private', reason };
    for (const { kid } of keys) await auditLog.append({ ...row, target: kid });
  });
}

function pemOf(opened: readonly OpenedKey[]): string {
  return opened
    .map(({ privateKey }) => privateKey.export({ type: 'pkcs8', format: 'pem' }).toString())
    .join('');
}

function jwkSetOf(opened: readonly OpenedKey[]): string {
  const keys = opened.map(({ key, privateKey }) => privateJwk(publicJwk(key), privateKey));
  return `${JSON.stringify({ keys }, null, 2)}\n`;
}

function privateJwk(jwk: PublicJwk, privateKey: KeyObject): JsonWebKey {
  const { d, p, q, dp, dq, qi } = privateKey.export({ format: 'jwk' }) as Required<JsonWebKey>;
  return { ...jwk, d, p, q, dp, dq, qi };
}

function privateKeyMissing(kid: string): JwtctlError {
  return new JwtctlError('ERR_PRIVATE_KEY_MISSING', `Key ${kid} has no private key.`, {
    hint: 'Verify-only, retired, and compromised keys have none. Run `jwtctl keys list` to find a key that has one.',
  });
}
