import { createPublicKey } from 'node:crypto';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { keyId } from '../../../src/domain/jose/thumbprint.js';
import { readKeys } from '../../../src/domain/key-files/read-keys.js';
import { generateKeys } from '../../../src/domain/keys/generate.js';
import { importKeys, nameKeys } from '../../../src/domain/keys/import.js';
import { rotateKeys } from '../../../src/domain/keys/rotate.js';
import type { KeyPairGenerator } from '../../../src/domain/ports/index.js';
import { type EmbeddedService, openEmbeddedService, POLICY } from '../../support/embedded-service.js';
import { freshJwk } from '../../support/private-keys.js';
import { RFC7638_3_1 } from '../../vectors/rfc-vectors.js';

test('is the first 30 bits of the thumbprint (RFC 7638 §3.1), at most six characters', () => {
  const { jwk, thumbprint } = RFC7638_3_1;
  const publicKey = createPublicKey({ key: jwk, format: 'jwk' }).export({ type: 'spki', format: 'pem' });
  const bits = [...Buffer.from(thumbprint, 'base64url')]
    .map((byte) => byte.toString(2).padStart(8, '0'))
    .join('');

  expect(keyId(String(publicKey))).toBe(Number.parseInt(bits.slice(0, 30), 2));
  expect((2 ** 30 - 1).toString(36)).toHaveLength(6);
});

describe('an id that another key has', () => {
  let service: EmbeddedService;
  beforeEach(async () => {
    service = await openEmbeddedService();
  });
  afterEach(() => service.close());

  /** Generates a next key pair with the id of key k1. */
  async function collidingGenerator(): Promise<KeyPairGenerator & { calls: number }> {
    const first = await service.ports.generator.generate(2048);
    await service.db
      .updateTable('keystore')
      .set({ id: keyId(first.publicKey) })
      .execute();
    const generator = {
      calls: 0,
      generate: async (bits: number) =>
        generator.calls++ === 0 ? first : service.ports.generator.generate(bits),
    };
    return generator;
  }

  test('causes a new pair when a key is generated', async () => {
    const generator = await collidingGenerator();
    const input = { kid: 'k2', alg: 'RS256', bits: 2048, count: 1, maxTtlSeconds: 60 } as const;
    const [key] = await generateKeys({ ...service.ports, generator }, input);

    expect(generator.calls).toBe(2);
    expect(key?.id).toBe(keyId(String(key?.publicKey)));
    expect((await service.database.keys.snapshot()).keys).toHaveLength(2);
  });

  test('causes a new pair when keys are rotated', async () => {
    const generator = await collidingGenerator();
    const policy = {
      ...{ rotateAfterSeconds: 99, publishLeadSeconds: 9, maxTtlSeconds: 60, clockToleranceSeconds: 5 },
      ...{ isForced: true, keepsLead: false, leavesStragglers: true, needsFleet: false },
    };
    const input = { alg: 'RS256', bits: 2048, dryRun: false, policy } as const;
    expect(await rotateKeys({ ...service.ports, generator }, input)).toMatchObject({ rotated: true });

    const { keys } = await service.database.keys.snapshot();
    expect(generator.calls).toBe(keys.length);
    expect(new Set(keys.map(({ id }) => id)).size).toBe(keys.length);
  });

  test('is refused on import, with a hint', async () => {
    const jwk = freshJwk();
    const askPassphrase = () => Promise.reject(new Error('Not encrypted.'));
    const file = await readKeys(JSON.stringify(jwk), { name: 'jwk.json', wanted: 'private', askPassphrase });
    const named = await nameKeys(file, { kid: 'theirs', defaultAlg: 'RS256' });
    const id = keyId(String(named.keys[0]?.publicKey));
    await service.db.updateTable('keystore').set({ id }).execute();
    const input = { ...POLICY, rotateAfterSeconds: 0, publishLeadSeconds: 0, ...named };

    for (const dryRun of [true, false]) {
      await expect(importKeys(service.ports, { ...input, dryRun })).rejects.toMatchObject({
        ...{ kind: 'state', code: 'ERR_KEY_THUMBPRINT_COLLISION' },
        message: expect.stringContaining('k1'),
      });
    }
    expect((await service.database.keys.snapshot()).keys).toHaveLength(1);
  });
});
