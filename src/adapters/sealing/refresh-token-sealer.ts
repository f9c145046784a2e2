import { createCipheriv, createDecipheriv, createHmac, timingSafeEqual } from 'node:crypto';
import type { RefreshTokenSealer } from '../../domain/ports/index.js';
import { deriveKey } from './derived-key.js';
import type { MasterKey } from './keyring.js';
import type { MasterKeys } from './master-keys.js';

/**
 * Seals contents as base64url of: version, id of the master key, nonce, ciphertext, and tag (AES-256-GCM). The
 * nonce is an HMAC of the contents, so every host makes the same token from the same contents. The nonce is
 * checked again after decryption, so two tokens that share a nonce by chance do not help to forge a third.
 */
export class AesRefreshTokenSealer implements RefreshTokenSealer {
  readonly #masterKeys: MasterKeys;
  readonly #derived = new Map<string, DerivedKeys>();

  constructor(masterKeys: MasterKeys) {
    this.#masterKeys = masterKeys;
  }

  async seal(contents: string): Promise<string> {
    const [master] = await this.#masterKeys.keyring();
    const header = headerOf(master);
    const { encryptionKey, nonceKey } = this.#keysOf(master);
    const nonce = nonceOf(nonceKey, header, contents);
    const cipher = createCipheriv('aes-256-gcm', encryptionKey, nonce).setAAD(header);
    const parts = [header, nonce, cipher.update(contents), cipher.final(), cipher.getAuthTag()];
    return Buffer.concat(parts).toString('base64url');
  }

  async open(token: string): Promise<string | null> {
    const bytes = Buffer.from(token, 'base64url');
    const bodyEnd = bytes.length - TAG_BYTES;
    // Only one text is the encoding of these bytes.
    if (bodyEnd < BODY_START || bytes[0] !== VERSION || bytes.toString('base64url') !== token) return null;
    const header = bytes.subarray(0, HEADER_BYTES);
    // A text from outside must not create a keyring.
    if ((await this.#masterKeys.existing()) === null) return null;
    const master = await this.#masterKeys.findNamed(`${ID_PREFIX}${header.toString('hex', 1)}`);
    if (master === undefined) return null;
    const { encryptionKey, nonceKey } = this.#keysOf(master);
    const nonce = bytes.subarray(HEADER_BYTES, BODY_START);
    const decipher = createDecipheriv('aes-256-gcm', encryptionKey, nonce, { authTagLength: TAG_BYTES });
    decipher.setAAD(header).setAuthTag(bytes.subarray(bodyEnd));
    try {
      const body = decipher.update(bytes.subarray(BODY_START, bodyEnd));
      const contents = Buffer.concat([body, decipher.final()]).toString();
      return timingSafeEqual(nonceOf(nonceKey, header, contents), nonce) ? contents : null;
    } catch {
      return null;
    }
  }

  #keysOf(master: MasterKey): DerivedKeys {
    const known = this.#derived.get(master.id);
    if (known !== undefined) return known;
    const derived = {
      encryptionKey: deriveKey(master, 'refresh token encryption'),
      nonceKey: deriveKey(master, 'refresh token nonce'),
    };
    this.#derived.set(master.id, derived);
    return derived;
  }
}

interface DerivedKeys {
  encryptionKey: Uint8Array;
  nonceKey: Uint8Array;
}

const VERSION = 1;
const ID_PREFIX = 'mk-';
/** The version, and the 12 hex digits of the id. */
const HEADER_BYTES = 7;
const NONCE_BYTES = 12;
const BODY_START = HEADER_BYTES + NONCE_BYTES;
const TAG_BYTES = 16;

function headerOf({ id }: MasterKey): Buffer {
  return Buffer.from(`0${VERSION}${id.slice(ID_PREFIX.length)}`, 'hex');
}

function nonceOf(key: Uint8Array, header: Uint8Array, contents: string): Buffer {
  return createHmac('sha256', key).update(header).update(contents).digest().subarray(0, NONCE_BYTES);
}
