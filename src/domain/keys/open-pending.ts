import type { SigningKey } from '../model/signing-key.js';
import type { Database, Sealer } from '../ports/index.js';
import { JwtctlError } from '../shared/errors.js';
import { toPrivateKey } from './to-private-key.js';

export interface PromotionPorts {
  database: Pick<Database, 'keys'>;
  sealer: Sealer;
}

/**
 * Opens the private key of a pending key that is to sign from now on. One that does not open must not take the place of
 * one that does: no token could be issued any more. Not for a transaction: a vault may take its time.
 *
 * @throws JwtctlError what the sealer throws; (state) `ERR_PRIVATE_KEY_MISSING`, also where the key is not pending any
 * more, `ERR_KEY_PAIR_MISMATCH`
 */
export async function assertOpens(ports: PromotionPorts, key: SigningKey): Promise<void> {
  try {
    await openPrivateKey(ports, key);
  } catch (error) {
    throw error instanceof JwtctlError ? notPromoted(key, error) : error;
  }
}

/**
 * A key that is made where the active one does not open would be sealed under a keyring of another kind: no host that signs
 * today could sign with it.
 *
 * @throws JwtctlError what {@link openPrivateKey} throws
 */
export async function assertKeyringFits(ports: PromotionPorts, active: SigningKey): Promise<void> {
  try {
    await openPrivateKey(ports, active);
  } catch (error) {
    if (!(error instanceof JwtctlError) || error.kind !== 'state') throw error;
    const { kind, code, message, hint } = error;
    throw new JwtctlError(code, `No key is made here, for the active one does not open: ${message}`, {
      hint: `${hint === undefined ? '' : `${hint} `}If nobody can open it any more, run \`jwtctl keys rotate --now\`.`,
      kind,
      cause: error,
    });
  }
}

/** @throws JwtctlError as {@link assertOpens}, and says nothing of what the key is for */
export async function openPrivateKey({ database, sealer }: PromotionPorts, key: SigningKey): Promise<void> {
  const sealed = await database.keys.findSealed(key.kid);
  if (sealed === null) throw privateKeyMissing(key);
  toPrivateKey(key, await sealer.open(key.kid, sealed));
}

function notPromoted({ kid }: SigningKey, error: JwtctlError): JwtctlError {
  const { kind, code, message, hint, details } = error;
  const next = `Who signs has not changed: run the command again once the key opens, or give it up with \`jwtctl keys retire ${kid}\` and rotate to another one.`;
  return new JwtctlError(code, `Key ${kid} cannot be made to sign: ${message}`, {
    hint: hint === undefined ? next : `${hint} ${next}`,
    details,
    kind,
    cause: error,
  });
}

function privateKeyMissing({ kid }: SigningKey): JwtctlError {
  return new JwtctlError('ERR_PRIVATE_KEY_MISSING', `Its private key is not there.`, {
    hint: `Restore the row of key ${kid} from a backup.`,
  });
}
