import { createHash } from 'node:crypto';
import { JwtctlError } from '../../domain/shared/errors.js';

export interface MasterKey {
  /** Derived from the key without revealing it. Sealed private keys name their master key by this id. */
  id: string;
  secret: Uint8Array;
}

const SECRET_BYTES = 32;
const BASE64 = /^[A-Za-z0-9+/_-]{43}=?$/;

/** The first key seals; all keys open. */
export type Keyring = [MasterKey, ...MasterKey[]];

/**
 * Parses one 256-bit key per line, in base64 or base64url. Skips empty lines and lines that start with #.
 * Errors name the line, never its content.
 */
export function parseKeyring(text: string, origin: string): Keyring {
  const keys: MasterKey[] = [];
  for (const [index, line] of text.split('\n').entries()) {
    const encoded = line.trim();
    if (encoded === '' || encoded.startsWith('#')) continue;
    const secret = Buffer.from(encoded, 'base64');
    if (!BASE64.test(encoded) || secret.length !== SECRET_BYTES) {
      throw new JwtctlError('ERR_MASTER_KEY_INVALID', `Line ${index + 1} of ${origin} is not a master key.`, {
        hint: 'A master key is 32 random bytes in base64, one key per line. `openssl rand -base64 32` generates one.',
      });
    }
    keys.push({ id: masterKeyId(secret), secret });
  }
  const [first, ...rest] = keys;
  if (first === undefined) {
    throw new JwtctlError('ERR_MASTER_KEY_INVALID', `There is no master key in ${origin}.`, {
      hint: 'Restore the keyring from your copy. If no private key is sealed yet, generate a master key with `openssl rand -base64 32`.',
    });
  }
  return [first, ...rest];
}

function masterKeyId(secret: Uint8Array): string {
  const digest = createHash('sha256').update('jwtctl master key id').update(secret).digest('hex');
  return `mk-${digest.slice(0, 12)}`;
}
