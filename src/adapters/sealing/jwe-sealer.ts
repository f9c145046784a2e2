import { CompactEncrypt, compactDecrypt, decodeProtectedHeader } from 'jose';
import type { ContentKeySealer, SealedPrivateKey, Sealer } from '../../domain/ports/index.js';
import { JwtctlError } from '../../domain/shared/errors.js';
import { excerpt } from '../../domain/shared/text.js';
import type { Keyring, MasterKey } from './keyring.js';
import type { MasterKeys } from './master-keys.js';

/**
 * Seals a private key as a JWE in Compact Serialization (RFC 7516 §7.1; `dir`, A256GCM). The protected header
 * names the master key as `kid`, and the sealed key as `seals`. A JWE that was moved to another row does not
 * open, and changing a name breaks the tag. The content key of a backup is sealed the same way, under a name
 * that no kid can have.
 */
export class JweSealer implements Sealer, ContentKeySealer {
  readonly #masterKeys: MasterKeys;

  constructor(masterKeys: MasterKeys) {
    this.#masterKeys = masterKeys;
  }

  seal(kid: string, pkcs8: Uint8Array): Promise<SealedPrivateKey> {
    return this.#seal(toPrivateKey(kid), pkcs8);
  }

  assertSeals(): Promise<void> {
    return this.#masterKeys.assertUsable();
  }

  open(kid: string, sealed: string): Promise<Uint8Array> {
    return this.#open(toPrivateKey(kid), sealed);
  }

  async sealContentKey(file: string, key: Uint8Array): Promise<string> {
    return (await this.#seal(contentKey(file), key)).sealed;
  }

  openContentKey(file: string, sealed: string): Promise<Uint8Array> {
    return this.#open(contentKey(file), sealed);
  }

  async sealingKeyId(): Promise<string> {
    const [master] = await this.#masterKeys.keyring();
    return master.id;
  }

  openingKeyId(kid: string, sealed: string): string {
    return protectedHeader(toPrivateKey(kid), sealed).kid;
  }

  async #seal({ seals }: Sealable, content: Uint8Array): Promise<SealedPrivateKey> {
    const [master] = await this.#masterKeys.keyring();
    const sealed = await new CompactEncrypt(content)
      .setProtectedHeader({ alg: 'dir', enc: 'A256GCM', kid: master.id, seals })
      .encrypt(master.secret);
    return { sealed, masterKeyId: master.id };
  }

  async #open(what: Sealable, sealed: string): Promise<Uint8Array> {
    const header = protectedHeader(what, sealed);
    const master = await this.#masterKey(header.kid, what);
    if (header.seals !== what.seals) throw broken(what, master.id, 'was sealed for another key');
    try {
      const { plaintext } = await compactDecrypt(sealed, master.secret, {
        keyManagementAlgorithms: ['dir'],
        contentEncryptionAlgorithms: ['A256GCM'],
      });
      return plaintext;
    } catch {
      throw broken(what, master.id, 'does not open');
    }
  }

  async #masterKey(id: string, what: Sealable): Promise<MasterKey> {
    try {
      const master = await this.#masterKeys.find(id);
      if (master === undefined) throw unknownMasterKey(await this.#masterKeys.keyring());
      return master;
    } catch (error) {
      throw withMasterKeyId(error, what, id);
    }
  }
}

interface Sealable {
  seals: string;
  name: string;
  /** Explains a failure, with a hint for what to do. */
  changed: string;
  hint: string;
}

function toPrivateKey(kid: string): Sealable {
  return {
    seals: kid,
    name: `The private key of key ${kid}`,
    changed: 'another program changed the row',
    hint: 'Restore the row from a backup, or rotate to a new key. Check the audit log.',
  };
}

/** The name contains a line break, so it cannot be a kid. */
function contentKey(file: string): Sealable {
  return {
    seals: `content key of\n${file}`,
    name: 'The content key of this file',
    changed: 'the file was changed or damaged',
    hint: 'Use another copy of the file.',
  };
}

function unknownMasterKey(keyring: Keyring): JwtctlError {
  return new JwtctlError('ERR_MASTER_KEY_UNKNOWN', 'The keyring does not contain that key.', {
    hint: `The keyring contains ${keyring.map((key) => key.id).join(', ')}. Add the missing key on a new line.`,
  });
}

/** Adds the required master key to the error. Anyone with access to the row may have written this id. */
function withMasterKeyId(error: unknown, { name }: Sealable, masterKeyId: string): unknown {
  if (!(error instanceof JwtctlError)) return error;
  const message = `${name} is sealed under master key ${excerpt(masterKeyId)}. ${error.message}`;
  return new JwtctlError(error.code, message, { kind: error.kind, hint: error.hint, cause: error });
}

function protectedHeader(what: Sealable, sealed: string): { kid: string; seals: unknown } {
  try {
    const header = decodeProtectedHeader(sealed);
    return { kid: String(header.kid), seals: header.seals };
  } catch {
    throw broken(what, 'unknown', 'is not a JWE');
  }
}

function broken({ name, changed, hint }: Sealable, masterKeyId: string, fault: string): JwtctlError {
  const message = `${name} (master key ${masterKeyId}) ${fault}: ${changed}.`;
  return new JwtctlError('ERR_DECRYPTION_FAILED', message, { hint });
}
