import { afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { checkSignature } from '../../../src/domain/jose/signature.js';
import { SIGNING_ALGORITHMS } from '../../../src/domain/model/signing-key.js';
import { SigningPool } from '../../../src/domain/tokens/signing-pool.js';
import { type RsaPair, rsaPair } from '../../support/signing.js';

let pair: RsaPair;
let pool: SigningPool;

beforeAll(() => {
  pair = rsaPair();
});
beforeEach(() => {
  pool = new SigningPool(3);
});
afterEach(() => pool.close());

function check(
  input: string,
  signature: string | undefined,
  alg: (typeof SIGNING_ALGORITHMS)[number] = 'RS256',
) {
  return checkSignature(alg, pair.publicKey, input, Buffer.from(String(signature), 'base64url'));
}

describe('signatures', () => {
  test.each(SIGNING_ALGORITHMS)('with %s verify under the key', async (alg) => {
    const [first, second, ...others] = await pool.sign(alg, pair.privateKey, ['a.b', 'c.d']);
    expect(others).toEqual([]);
    expect(await check('a.b', first, alg)).toBe(true);
    expect(await check('c.d', second, alg)).toBe(true);
    expect(await check('a.b', second, alg)).toBe(false);
  });

  test('are in the order of the inputs, with several threads and callers', async () => {
    const inputs = Array.from({ length: 333 }, (_, index) => `${index}.x`);
    const [all, reversed] = await Promise.all([
      pool.sign('RS256', pair.privateKey, inputs),
      pool.sign('RS256', pair.privateKey, [...inputs].reverse()),
    ]);
    expect(all).toHaveLength(333);
    expect([...reversed].reverse()).toEqual(all);
    for (const [index, input] of inputs.entries()) expect(await check(input, all[index])).toBe(true);
  });

  test('are empty for no inputs', async () => {
    expect(await pool.sign('RS256', pair.privateKey, [])).toEqual([]);
  });
});

test('an error does not stop the pool', async () => {
  const small = rsaPair(512);
  const failing = pool.sign('RS512', small.privateKey, ['a.b']);
  await expect(failing).rejects.toThrow();
  const [signature] = await pool.sign('RS256', pair.privateKey, ['a.b']);
  expect(await check('a.b', signature)).toBe(true);
});

test('close rejects unfinished work', async () => {
  const inputs = Array.from({ length: 5_000 }, (_, index) => `${index}.x`);
  const signing = pool.sign('RS256', pair.privateKey, inputs);
  const ended = expect(signing).rejects.toMatchObject({ code: 'ERR_BUG' });
  await pool.close();
  await ended;
});
