import { createPrivateKey, createPublicKey, type KeyObject } from 'node:crypto';
import { toPublicKey } from '../jose/jwk-set.js';
import { kidArgument } from '../model/kid.js';
import type { SigningKey } from '../model/signing-key.js';
import type { Database, Sealer } from '../ports/index.js';
import { JwtctlError } from '../shared/errors.js';

export interface PromotionPorts {
  database: Pick<Database, 'keys'>;
  sealer: Sealer;
}

/**
 * Checks before a promotion that the private key opens. Call it outside a transaction: a vault may be slow.
 * @throws JwtctlError (state) `ERR_PRIVATE_KEY_MISSING`, `ERR_KEY_PAIR_MISMATCH`; errors of the sealer
 */
export async function assertOpens(ports: PromotionPorts, key: SigningKey): Promise<void> {
  try {
    await openPrivateKey(ports, key);
  } catch (error) {
    throw error instanceof JwtctlError ? notPromoted(key, error) : error;
  }
}

/** The hosts that sign today could not open a new key that is sealed under another keyring. */
export async function assertKeyringFits(ports: PromotionPorts, active: SigningKey): Promise<void> {
  try {
    await openPrivateKey(ports, active);
  } catch (error) {
    if (!(error instanceof JwtctlError) || error.kind !== 'state') throw error;
    const { kind, code, message, hint } = error;
    throw new JwtctlError(
      code,
      `No key was generated, because the active key does not open here: ${message}`,
      {
        hint: `${hint === undefined ? '' : `${hint} `}If no host can open it, run \`jwtctl keys rotate --now\`.`,
        kind,
        cause: error,
      },
    );
  }
}

export async function openPrivateKey({ database, sealer }: PromotionPorts, key: SigningKey): Promise<void> {
  const sealed = await database.keys.findSealed(key.kid);
  if (sealed === null) {
    const hint = `Restore the row of key ${key.kid} from a backup.`;
    throw new JwtctlError('ERR_PRIVATE_KEY_MISSING', 'The private key is missing.', { hint });
  }
  toPrivateKey(key, await sealer.open(key.kid, sealed));
}

/** Checks the pair, because a changed public key in the row would make verifiers refuse every token. */
export function toPrivateKey(key: SigningKey, pkcs8: Uint8Array): KeyObject {
  const privateKey = readPrivateKey(pkcs8);
  if (privateKey === null || !createPublicKey(privateKey).equals(toPublicKey(key))) {
    throw new JwtctlError('ERR_KEY_PAIR_MISMATCH', `The private and public key of ${key.kid} do not match.`);
  }
  return privateKey;
}

/** Returns null for anything that is not PKCS #8. */
function readPrivateKey(pkcs8: Uint8Array): KeyObject | null {
  try {
    return createPrivateKey({ key: Buffer.from(pkcs8), format: 'der', type: 'pkcs8' });
  } catch {
    return null;
  }
}

function notPromoted({ kid }: SigningKey, error: JwtctlError): JwtctlError {
  const { kind, code, message, hint, details } = error;
  const next = `The active key has not changed. Run the command again once the key opens, or run \`jwtctl keys retire ${kidArgument(kid)}\` and rotate to another key.`;
  return new JwtctlError(code, `Key ${kid} cannot become active: ${message}`, {
    hint: hint === undefined ? next : `${hint} ${next}`,
    details,
    kind,
    cause: error,
  });
}
