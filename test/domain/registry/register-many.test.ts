import { describe, expect, test } from 'vitest';
import type { TokenRegistry } from '../../../src/domain/ports/index.js';
import { registerMany } from '../../../src/domain/registry/register-many.js';
import { type ErrorCode, JwtctlError } from '../../../src/domain/shared/errors.js';

const entry = { jti: 'a', keyId: 1, iat: 1, exp: 2 };

/** Counts the attempts to register a batch in a registry that fails with `code`. */
async function attempts(code: ErrorCode, maxPerSubject?: number): Promise<number> {
  let count = 0;
  const failing = {
    registerMany: () => {
      count += 1;
      return Promise.reject(new JwtctlError(code, 'No.'));
    },
    tokenStatus: () => Promise.reject(new JwtctlError(code, 'No.')),
  } as Partial<TokenRegistry> as TokenRegistry;
  const cap = maxPerSubject === undefined ? {} : { maxPerSubject };
  await expect(registerMany(failing, [{ sub: 'alice', entry, now: 1, ...cap }])).rejects.toMatchObject({
    code,
  });
  return count;
}

test('retries a batch if the registry does not answer', async () => {
  expect(await attempts('ERR_REDIS_UNREACHABLE')).toBe(2);
  expect(await attempts('ERR_REDIS_CLUSTER_DOWN')).toBe(2);
});

test('does not register a batch with a limit again', async () => {
  expect(await attempts('ERR_REDIS_UNREACHABLE', 3)).toBe(1);
});

test.each(['ERR_REDIS_AUTH', 'ERR_REDIS_FORBIDDEN'] as const)(
  'does not retry a batch refused with %s',
  async (code) => {
    expect(await attempts(code)).toBe(1);
  },
);

describe('if a part of the registry does not answer', () => {
  const unreachable = new JwtctlError('ERR_REDIS_UNREACHABLE', 'It did not answer.');
  const subs = ['alice', 'bob', 'carol'];
  const batch = (maxPerSubject?: number) =>
    subs.map((sub) => ({ sub, entry, now: 1, ...(maxPerSubject === undefined ? {} : { maxPerSubject }) }));

  /** Fails for `gone`. For `lost`, registers the entries but loses the first reply. Has the entry of alice. */
  function partly(
    gone: readonly string[],
    lost: readonly string[] = [],
  ): TokenRegistry & { asked: string[][] } {
    const asked: string[][] = [];
    const isKnown = (sub: string, isFirst: boolean) => sub === 'alice' || (!isFirst && lost.includes(sub));
    const registry = {
      asked,
      registerMany: async (some: ReadonlyArray<{ sub: string }>) => {
        asked.push(some.map(({ sub }) => sub));
        const isFirst = asked.length === 1;
        return some.map(({ sub }) =>
          gone.includes(sub) || (isFirst && lost.includes(sub))
            ? unreachable
            : isKnown(sub, isFirst)
              ? 'known'
              : 'added',
        );
      },
      tokenStatus: async (sub: string) => {
        if (gone.includes(sub)) throw unreachable;
        return { exp: lost.includes(sub) ? entry.exp : null, user: null };
      },
    };
    return registry as unknown as TokenRegistry & { asked: string[][] };
  }

  test('the others are registered, and only failed entries are tried again', async () => {
    const registry = partly(['bob']);
    expect(await registerMany(registry, batch())).toEqual(['known', unreachable, 'added']);
    expect(registry.asked).toEqual([subs, ['bob']]);
  });

  test('a second attempt makes up for a lost answer, and its entry counts as added', async () => {
    expect(await registerMany(partly([], ['bob']), batch())).toEqual(['known', 'added', 'added']);
  });

  test('with a limit, the entry is looked up instead, and counts if it exists', async () => {
    const registry = partly(['carol'], ['bob']);
    expect(await registerMany(registry, batch(3))).toEqual(['known', 'added', unreachable]);
    expect(registry.asked).toEqual([subs]);
  });

  test('a batch without any registered entry fails as a whole', async () => {
    await expect(registerMany(partly(subs), batch())).rejects.toBe(unreachable);
    await expect(registerMany(partly(subs), batch(3))).rejects.toBe(unreachable);
  });
});
