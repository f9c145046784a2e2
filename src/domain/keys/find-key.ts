import { parseKid } from '../model/kid.js';
import type { SigningKey } from '../model/signing-key.js';
import type { Database } from '../ports/index.js';
import { JwtctlError } from '../shared/errors.js';

/** @throws JwtctlError `ERR_KEY_UNKNOWN` (not_found) */
export async function requireKey(database: Pick<Database, 'keys'>, kid: string): Promise<SigningKey> {
  return known(await database.keys.find(parseKid(kid)), kid);
}

/** @throws JwtctlError `ERR_KEY_UNKNOWN` (not_found) */
export function requireKeyAmong(keys: readonly SigningKey[], kid: string): SigningKey {
  return known(keys.find((key) => key.kid === parseKid(kid)) ?? null, kid);
}

function known(key: SigningKey | null, kid: string): SigningKey {
  if (key !== null) return key;
  throw new JwtctlError('ERR_KEY_UNKNOWN', `There is no key ${kid}.`);
}

/** @throws JwtctlError `ERR_NO_ACTIVE_KEY` (state) */
export async function findActiveKey(database: Pick<Database, 'keys'>): Promise<SigningKey> {
  return (await readActiveKey(database)).key;
}

export async function readActiveKey(
  database: Pick<Database, 'keys'>,
): Promise<{ key: SigningKey; revision: number }> {
  const { keys, revision } = await database.keys.snapshot();
  const active = keys.find((key) => key.state === 'active');
  if (active === undefined) throw noActiveKey(keys.length === 0 ? 'Run `jwtctl keys generate`.' : undefined);
  return { key: active, revision };
}

export function noActiveKey(hint = 'Run `jwtctl keys rotate`.'): JwtctlError {
  return new JwtctlError('ERR_NO_ACTIVE_KEY', 'There is no active key to sign with.', { hint });
}
