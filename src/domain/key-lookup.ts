import { JwtctlError } from './errors.js';
import { parseKid } from './kid.js';
import type { Database } from './ports.js';
import type { SigningKey } from './signing-key.js';

/** @throws JwtctlError `ERR_KEY_UNKNOWN` (not_found) */
export async function requireKey(database: Pick<Database, 'keys'>, kid: string): Promise<SigningKey> {
  const key = await database.keys.find(parseKid(kid));
  if (key !== null) return key;
  throw new JwtctlError('not_found', 'ERR_KEY_UNKNOWN', `There is no key ${kid}.`, {
    hint: 'Run `jwtctl keys list`.',
  });
}
