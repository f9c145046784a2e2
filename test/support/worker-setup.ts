import { inject, vi } from 'vitest';
import { POOLED_BITS, readPool } from './key-pair-pool.js';

// Without this, a worker whose vitest was killed would keep running its tests and the servers that it started.
process.once('disconnect', () => process.exit(1));

// The tests of key generation itself, and commands in processes of their own, generate their keys.
vi.mock('../../src/adapters/rsa/key-pair-generator.js', async (importOriginal) => {
  const { rsaKeyPairGenerator } =
    await importOriginal<typeof import('../../src/adapters/rsa/key-pair-generator.js')>();
  let next: ReturnType<typeof readPool> | undefined;
  const generate: typeof rsaKeyPairGenerator.generate = async (bits) => {
    if (bits !== POOLED_BITS) return rsaKeyPairGenerator.generate(bits);
    next ??= readPool(inject('keyPairPool'));
    return next();
  };
  return { rsaKeyPairGenerator: { generate } };
});
