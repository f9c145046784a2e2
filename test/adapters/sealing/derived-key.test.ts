import { createHmac, randomBytes } from 'node:crypto';
import { expect, test } from 'vitest';
import { deriveKey } from '../../../src/adapters/sealing/derived-key.js';
import { parseKeyring } from '../../../src/adapters/sealing/keyring.js';

const [ONE] = parseKeyring(randomBytes(32).toString('base64'), 'the test');
const [TWO] = parseKeyring(randomBytes(32).toString('base64'), 'the test');

test('derives the key that RFC 5869 describes', () => {
  // Extract with a salt of zeros (§2.2), then expand to one block (§2.3).
  const extracted = createHmac('sha256', new Uint8Array(32)).update(ONE.secret).digest();
  const expanded = createHmac('sha256', extracted).update('jwtctl audit log\x01').digest();

  expect(Buffer.from(deriveKey(ONE, 'audit log'))).toEqual(expanded);
});

test('gives the same key for the same master key and purpose, and different keys otherwise', () => {
  const keys = [
    deriveKey(ONE, 'audit log'),
    deriveKey(ONE, 'audit logs'),
    deriveKey(TWO, 'audit log'),
    ONE.secret,
  ];

  expect(deriveKey(ONE, 'audit log')).toEqual(keys[0]);
  expect(new Set(keys.map((key) => Buffer.from(key).toString('hex'))).size).toBe(4);
});
