import { CompactEncrypt, compactDecrypt, decodeProtectedHeader } from 'jose';
import { JwtctlError } from '../../domain/errors.js';
import type { SealedPrivateKey, Sealer } from '../../domain/ports.js';
import type { MasterKey } from './keyring.js';
import { type KeyringSource, loadKeyring } from './keyring-source.js';

/**
 * Seals a private half as a JWE in Compact Serialization (RFC 7516 §7.1; `dir`, A256GCM). Its protected header names the
 * master key as `kid` and, in a parameter of its own, the key that is sealed: a JWE that was moved to another row does
 * not open there, and neither name can be changed without the tag failing.
 */
export class JweSealer implements Sealer {
  readonly #source: KeyringSource;
  #keyring: Promise<[MasterKey, ...MasterKey[]]> | undefined;

  constructor(source: KeyringSource) {
    this.#source = source;
  }

  async seal(kid: string, pkcs8: Uint8Array): Promise<SealedPrivateKey> {
    const [master] = await this.#masterKeys();
    const sealed = await new CompactEncrypt(pkcs8)
      .setProtectedHeader({ alg: 'dir', enc: 'A256GCM', kid: master.id, seals: kid })
      .encrypt(master.secret);
    return { sealed, masterKeyId: master.id };
  }

  async open(kid: string, sealed: string): Promise<Uint8Array> {
    const header = protectedHeader(kid, sealed);
    const keyring = await this.#masterKeys().catch((error) => {
      throw naming(error, kid, header.kid);
    });
    const master = keyring.find((candidate) => candidate.id === header.kid);
    if (master === undefined) {
      throw new JwtctlError(
        'state',
        'ERR_MASTER_KEY_UNKNOWN',
        `The private half of key ${kid} is sealed under master key ${header.kid}, which the keyring does not hold.`,
        {
          hint: `The keyring holds ${keyring.map((key) => key.id).join(', ')}. Add the missing one as a further line.`,
        },
      );
    }
    if (header.seals !== kid) throw broken(kid, master.id, 'was sealed for another key');
    try {
      const { plaintext } = await compactDecrypt(sealed, master.secret, {
        keyManagementAlgorithms: ['dir'],
        contentEncryptionAlgorithms: ['A256GCM'],
      });
      return plaintext;
    } catch {
      throw broken(kid, master.id, 'does not open');
    }
  }

  async sealingKeyId(): Promise<string> {
    const [master] = await this.#masterKeys();
    return master.id;
  }

  openingKeyId(kid: string, sealed: string): string {
    return protectedHeader(kid, sealed).kid;
  }

  #masterKeys(): Promise<[MasterKey, ...MasterKey[]]> {
    if (this.#keyring === undefined) {
      this.#keyring = loadKeyring(this.#source);
      // A failure is not kept: a vault that was away may answer the next time.
      this.#keyring.catch(() => {
        this.#keyring = undefined;
      });
    }
    return this.#keyring;
  }
}

/** Which master key it takes, beside why there is none to try. */
function naming(error: unknown, kid: string, masterKeyId: string): unknown {
  if (!(error instanceof JwtctlError)) return error;
  const message = `The private half of key ${kid} is sealed under master key ${masterKeyId}. ${error.message}`;
  return new JwtctlError(error.kind, error.code, message, {
    ...(error.hint === undefined ? {} : { hint: error.hint }),
    cause: error,
  });
}

function protectedHeader(kid: string, sealed: string): { kid: string; seals: unknown } {
  try {
    const header = decodeProtectedHeader(sealed);
    return { kid: String(header.kid), seals: header.seals };
  } catch {
    throw broken(kid, 'unknown', 'is not a JWE');
  }
}

function broken(kid: string, masterKeyId: string, what: string): JwtctlError {
  return new JwtctlError(
    'state',
    'ERR_SEAL_BROKEN',
    `The private half of key ${kid} (master key ${masterKeyId}) ${what}: the row was changed by other means than jwtctl.`,
    { hint: 'Restore the row from a backup, or rotate to a new key and look into the audit log.' },
  );
}
