import { createPrivateKey, createPublicKey } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { compactDecrypt, decodeProtectedHeader } from 'jose';
import { expect } from 'vitest';
import type { Stores } from './stores.js';

export interface SealedKey {
  kid: string;
  state: string;
  /** Null for a key whose private key is wiped. */
  masterKeyId: string | null;
  /** Whether the first master key of the keyring opens it. */
  isUnderFirst: boolean;
}

/**
 * Returns all keys, oldest first. Opens each private key without the code under test, and expects it to match the public
 * key. Also expects exactly one active key.
 *
 * @param keyring the file with the master keys
 * @param where names the situation in the message of an assertion
 */
export async function openedKeys(stores: Stores, keyring: string, where: string): Promise<SealedKey[]> {
  const masterKeys = readFileSync(keyring, 'utf8').trim().split('\n');
  const secrets = masterKeys.map((line) => Buffer.from(line, 'base64'));
  const rows = await stores.query(
    'SELECT kid, state, private_key, public_key, master_key_id FROM keystore ORDER BY position',
  );
  const keys: SealedKey[] = [];
  for (const { kid, state, private_key: sealed, public_key: publicKey, master_key_id: masterKeyId } of rows) {
    const key = { kid: String(kid), state: String(state) };
    const isWiped = state === 'retired' || state === 'compromised';
    expect({ kid, sealed: sealed !== null }, where).toEqual({ kid, sealed: !isWiped });
    if (isWiped) {
      keys.push({ ...key, masterKeyId: null, isUnderFirst: false });
      continue;
    }
    expect({ kid, masterKeyId: decodeProtectedHeader(String(sealed)).kid }, where).toEqual({
      ...{ kid, masterKeyId },
    });
    const { pkcs8, opener } = await open(String(sealed), secrets, `${where}: key ${kid}`);
    const privateKey = createPrivateKey({ key: Buffer.from(pkcs8), format: 'der', type: 'pkcs8' });
    expect(createPublicKey(privateKey).export({ type: 'spki', format: 'pem' }), where).toBe(publicKey);
    keys.push({ ...key, masterKeyId: String(masterKeyId), isUnderFirst: opener === 0 });
  }
  expect(
    keys.filter(({ state }) => state === 'active'),
    where,
  ).toHaveLength(1);
  return keys;
}

async function open(sealed: string, secrets: readonly Buffer[], where: string) {
  for (const [opener, secret] of secrets.entries()) {
    const opened = await compactDecrypt(sealed, secret).catch(() => null);
    if (opened !== null) return { pkcs8: opened.plaintext, opener };
  }
  throw new Error(`${where} opens under no master key of the keyring.`);
}
