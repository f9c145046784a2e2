import { expect, test } from 'vitest';
import { JwtctlError } from '../../src/domain/errors.js';
import type { TokenRegistry } from '../../src/domain/ports.js';
import { registerMany } from '../../src/domain/registering.js';

/** How often a registry that fails with this is asked to register a batch. */
async function attempts(code: string, maxPerSubject?: number): Promise<number> {
  let count = 0;
  const failing = {
    registerMany: () => {
      count += 1;
      return Promise.reject(new JwtctlError('unavailable', code, 'No.'));
    },
  } as Partial<TokenRegistry> as TokenRegistry;
  const entry = { jti: 'a', keyId: 1, iat: 1, exp: 2 };
  const cap = maxPerSubject === undefined ? {} : { maxPerSubject };
  await expect(registerMany(failing, [{ sub: 'alice', entry, now: 1, ...cap }])).rejects.toMatchObject({
    code,
  });
  return count;
}

test('a batch is registered once more where the registry did not answer', async () => {
  expect(await attempts('ERR_REDIS_UNREACHABLE')).toBe(2);
  expect(await attempts('ERR_REDIS_CLUSTER_DOWN')).toBe(2);
});

test('a batch with a cap is not: what had made room would come back', async () => {
  expect(await attempts('ERR_REDIS_UNREACHABLE', 3)).toBe(1);
});

test.each(['ERR_REDIS_AUTH', 'ERR_REDIS_FORBIDDEN'])(
  'a batch that was refused with %s is not: it is refused again',
  async (code) => {
    expect(await attempts(code)).toBe(1);
  },
);
