import { JwtctlError } from './errors.js';
import { privateHalf } from './issuance.js';
import type { Database, Sealer } from './ports.js';
import type { SigningKey } from './signing-key.js';

export interface PromotionPorts {
  database: Pick<Database, 'keys'>;
  sealer: Sealer;
}

/**
 * Opens the private half of a pending key that is to sign from now on. One that does not open must not take the place of
 * one that does: no token could be issued any more. Not for a transaction: a vault may take its time.
 *
 * @throws JwtctlError what the sealer throws; (state) `ERR_PRIVATE_KEY_MISSING`, also where the key is not pending any
 * more, `ERR_KEY_HALVES_MISMATCH`
 */
export async function assertOpens({ database, sealer }: PromotionPorts, key: SigningKey): Promise<void> {
  try {
    const sealed = await database.keys.findSealed(key.kid);
    if (sealed === null) throw withoutPrivateHalf(key);
    privateHalf(key, await sealer.open(key.kid, sealed));
  } catch (error) {
    throw error instanceof JwtctlError ? notPromoted(key, error) : error;
  }
}

function notPromoted({ kid }: SigningKey, error: JwtctlError): JwtctlError {
  const { kind, code, message, hint, details } = error;
  const next = `Who signs has not changed: run the command again once the key opens, or give it up with \`jwtctl keys retire ${kid}\` and rotate to another one.`;
  return new JwtctlError(kind, code, `Key ${kid} cannot be made to sign: ${message}`, {
    hint: hint === undefined ? next : `${hint} ${next}`,
    details,
    cause: error,
  });
}

function withoutPrivateHalf({ kid }: SigningKey): JwtctlError {
  return new JwtctlError('state', 'ERR_PRIVATE_KEY_MISSING', `Its private half is not there.`, {
    hint: `Restore the row of key ${kid} from a backup.`,
  });
}
