import { CompactEncrypt, compactDecrypt, decodeProtectedHeader } from 'jose';
import { JwtctlError } from '../../domain/errors.js';
import type { Clock, SealedPrivateKey, Sealer } from '../../domain/ports.js';
import { excerpt } from '../../domain/prose.js';
import type { MasterKey } from './keyring.js';
import { type KeyringSource, loadKeyring } from './keyring-source.js';

/** The shortest time between two looks at the keyring that an unknown master key causes, in seconds. */
const COOL_DOWN_SECONDS = 1;

/**
 * Seals a private half as a JWE in Compact Serialization (RFC 7516 §7.1; `dir`, A256GCM). Its protected header names the
 * master key as `kid` and, in a parameter of its own, the key that is sealed: a JWE that was moved to another row does
 * not open there, and neither name can be changed without the tag failing.
 *
 * The keyring is fetched once, and once more for a master key that is not on it: an issuer that runs for months finds the
 * line that was added since.
 */
export class JweSealer implements Sealer {
  readonly #source: KeyringSource;
  readonly #clock: Clock;
  #keyring: Promise<Keyring> | undefined;
  #fetchedAt = Number.NEGATIVE_INFINITY;

  constructor(source: KeyringSource, clock: Clock) {
    this.#source = source;
    this.#clock = clock;
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
    const master = await this.#masterKey(header.kid, kid);
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

  async #masterKey(id: string, kid: string): Promise<MasterKey> {
    const isOnIt = (candidate: MasterKey) => candidate.id === id;
    try {
      const keyring = await this.#masterKeys();
      const master = keyring.find(isOnIt) ?? (await this.#masterKeysAnew(keyring)).find(isOnIt);
      if (master === undefined) throw unknownMasterKey(await this.#masterKeys());
      return master;
    } catch (error) {
      throw naming(error, kid, id);
    }
  }

  #masterKeys(): Promise<Keyring> {
    if (this.#keyring === undefined) {
      this.#fetchedAt = this.#clock.now();
      this.#keyring = loadKeyring(this.#source);
      // A failure is not kept: a vault that was away may answer the next time.
      this.#keyring.catch(() => {
        this.#keyring = undefined;
      });
    }
    return this.#keyring;
  }

  /** What was known stays where the keyring cannot be had again. */
  async #masterKeysAnew(known: Keyring): Promise<Keyring> {
    if (this.#clock.now() < this.#fetchedAt + COOL_DOWN_SECONDS) return known;
    this.#fetchedAt = this.#clock.now();
    const keyring = await loadKeyring(this.#source);
    this.#keyring = Promise.resolve(keyring);
    return keyring;
  }
}

type Keyring = [MasterKey, ...MasterKey[]];

function unknownMasterKey(keyring: Keyring): JwtctlError {
  return new JwtctlError('state', 'ERR_MASTER_KEY_UNKNOWN', 'The keyring does not hold it.', {
    hint: `The keyring holds ${keyring.map((key) => key.id).join(', ')}. Add the missing one as a further line.`,
  });
}

/** Which master key it takes, beside why there is none to try. The id is what the row says, whoever wrote that. */
function naming(error: unknown, kid: string, masterKeyId: string): unknown {
  if (!(error instanceof JwtctlError)) return error;
  const message = `The private half of key ${kid} is sealed under master key ${excerpt(masterKeyId)}. ${error.message}`;
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
