import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { systemClock } from '../../src/app/clock.js';
import type { Context } from '../../src/app/context.js';
import type { Issuer } from '../../src/domain/tokens/issue.js';
import { openStoreIssuer } from '../../src/issuer/store-issuer.js';
import { openContext } from '../support/opened-context.js';
import { BACKENDS, openStores, type Stores } from '../support/stores.js';
import { type Verifiers, verifiersOver } from '../support/verifiers.js';

const SESSIONS = 20;
const COPIES = 64;
const GRACE_SECONDS = 2;
const MOST_SECONDS_TO_REFUSE = 2;

describe.each(BACKENDS)('sessions, on %s', (backend) => {
  let stores: Stores;
  let verifiers: Verifiers;
  let context: Context;
  let issuer: Issuer;

  beforeAll(async () => {
    stores = await openStores(backend, { JWTCTL_REFRESH_GRACE: `${GRACE_SECONDS}s` });
    await stores.json('keys', 'generate');
    await stores.json('users', 'add', 'alice');
    verifiers = await verifiersOver(stores);
    context = await openContext({ ...stores, clock: systemClock });
    issuer = await openStoreIssuer(context);
  });
  afterAll(async () => {
    await context?.dispose();
    await verifiers?.close();
    await stores?.close();
  });

  async function logIn(sub = 'alice', ...words: string[]) {
    return verifiers.shell.json('token', 'issue', '--sub', sub, '--refresh', '--create-user', ...words);
  }

  async function outcomeOf(refreshToken: string): Promise<string> {
    return issuer.refresh({ refreshToken }).then(
      () => 'refreshed',
      ({ code }) => code,
    );
  }

  test('issue --refresh prints the access token, and the refresh token on the second line', async () => {
    const { exitCode, stdout } = await stores.run('token', 'issue', '--sub', 'alice', '--refresh');
    expect([exitCode, stdout.split('\n').length]).toEqual([0, 3]);
    const [, refreshToken] = stdout.split('\n');
    expect(await outcomeOf(String(refreshToken))).toBe('refreshed');
  });

  test('a session is listed, and revoking any of its tokens ends it', async () => {
    const first = await logIn('bob', '--meta', 'device=phone');
    const second = await issuer.refresh({ refreshToken: first.refreshToken });
    expect(await stores.json('token', 'list', '--sub', 'bob')).toMatchObject([
      { jti: first.jti, refreshExp: null, meta: { device: 'phone' } },
      { jti: second.jti, refreshExp: second.refreshExp, meta: { device: 'phone' } },
    ]);
    expect((await stores.run('token', 'list', '--sub', 'bob')).stdout).toContain('REFRESHABLE UNTIL');
    const before = await stores.content();
    const revoke = (...words: string[]) => stores.json('token', 'revoke', first.token, ...words);
    expect(await revoke('--dry-run')).toMatchObject({ wouldRevoke: 2, wouldEndSessions: 1 });
    expect(await stores.content()).toBe(before);
    expect(await revoke()).toMatchObject({ revoked: 2, sessions: 1, alreadyGone: 0 });
    expect(await stores.json('token', 'list', '--sub', 'bob')).toEqual([]);
    expect(await outcomeOf(String(second.refreshToken))).toBe('ERR_REFRESH_REVOKED');
  });

  test.each<{ what: string; words: string[]; code: string }>([
    { what: 'users disable', words: ['users', 'disable'], code: 'ERR_REFRESH_REVOKED' },
    { what: 'users remove', words: ['users', 'remove', '--yes'], code: 'ERR_REFRESH_REVOKED' },
    {
      what: 'token revoke --all',
      words: ['token', 'revoke', '--all', '--yes', '--sub'],
      code: 'ERR_REFRESH_REVOKED',
    },
    { what: 'cache flush', words: ['cache', 'flush', '--yes', '--sub'], code: 'ERR_REFRESH_INVALID' },
    {
      what: 'cache flush --backup',
      words: ['cache', 'flush', '--yes', '--backup', 'sessions.backup', '--sub'],
      code: 'ERR_REFRESH_INVALID',
    },
  ])('$what ends the sessions of a user', async ({ what, words, code }) => {
    const sub = what.replaceAll(' ', '-');
    const { refreshToken } = await logIn(sub);
    expect((await verifiers.shell.run(...words, sub)).exitCode).toBe(0);
    expect(await outcomeOf(refreshToken)).toBe(code);
    const isDisabled = what === 'users disable';
    const listed = await stores.json('token', 'list', '--sub', sub);
    expect(listed).toEqual(isDisabled ? [expect.objectContaining({ refreshExp: null })] : []);
    if (!isDisabled) return;
    await verifiers.shell.json('users', 'enable', sub);
    expect(await outcomeOf(refreshToken)).toBe('ERR_REFRESH_REVOKED');
  });

  test('a flush of everything ends sessions, also without access tokens', async () => {
    const { refreshToken, jti } = await logIn('carol');
    const registry = await context.registry();
    await registry.remove('carol', { jti }, context.clock.now());
    for (const words of [['--backup', 'all.backup'], []]) {
      const other = await logIn('dave');
      await verifiers.shell.json('cache', 'flush', '--all', '--yes', ...words);
      expect([await outcomeOf(refreshToken), await outcomeOf(other.refreshToken)]).toEqual([
        ...['ERR_REFRESH_INVALID', 'ERR_REFRESH_INVALID'],
      ]);
    }
  });

  test(`of ${COPIES} concurrent uses one succeeds for all, and a late one ends the session, ${SESSIONS} times`, async () => {
    const verifier = await verifiers.open();
    const logins = [];
    for (let index = 0; index < SESSIONS; index++) logins.push(await logIn('erin'));
    const sessions = [];
    for (const { refreshToken, token } of logins) {
      const uses = Array.from({ length: COPIES }, () => issuer.refresh({ refreshToken }));
      const successors = await Promise.all(uses);
      expect(new Set(successors.map((one) => JSON.stringify(one))).size).toBe(1);
      const next = successors[0] as (typeof successors)[number];
      expect([await verifier.verify(token), await verifier.verify(next.token)]).toMatchObject([
        ...[{ active: true }, { active: true }],
      ]);
      sessions.push({ refreshToken, tokens: [token, next.token], next: String(next.refreshToken) });
    }
    // Redis compares with its own clock.
    await delay(1000 * (GRACE_SECONDS + 1));
    let slowestSeconds = 0;
    for (const { refreshToken, tokens, next } of sessions) {
      expect(await outcomeOf(refreshToken)).toBe('ERR_REFRESH_REUSED');
      const endedAt = performance.now();
      for (;;) {
        const verdicts = await Promise.all(tokens.map((one) => verifier.verify(one)));
        if (verdicts.every(({ active }) => !active)) break;
        await delay(10);
      }
      slowestSeconds = Math.max(slowestSeconds, (performance.now() - endedAt) / 1000);
      expect(await outcomeOf(next)).toBe('ERR_REFRESH_REVOKED');
    }
    expect(slowestSeconds).toBeLessThan(MOST_SECONDS_TO_REFUSE);
    expect(await stores.json('token', 'list', '--sub', 'erin')).toEqual([]);
  }, 120_000);
});
