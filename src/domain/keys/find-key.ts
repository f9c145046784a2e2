import { JwtctlError } from '../shared/errors.js';
import { parseKid } from '../model/kid.js';
import type { Database } from '../ports/index.js';
import type { SigningKey } from '../model/signing-key.js';

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
  throw new JwtctlError('not_found', 'ERR_KEY_UNKNOWN', `There is no key ${kid}.`, {
    hint: 'Run `jwtctl keys list`.',
  });
}

/** Another run changed the key store between what this one read and what it was to write. Nothing was written. */
export function keyStoreChanged(kid: string): JwtctlError {
  return new JwtctlError(
    'unavailable',
    'ERR_DATABASE_CONFLICT',
    `The key store changed while key ${kid} was to be changed.`,
    { hint: 'Run the command again.' },
  );
}
