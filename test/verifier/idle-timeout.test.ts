import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import type { Context } from '../../src/app/context.js';
import { JwtctlError } from '../../src/domain/shared/errors.js';
import type { LiveVerifier } from '../../src/verifier/live-verifier.js';
import { type LiveVerifierOptions, openLiveVerifier } from '../../src/verifier/open-live-verifier.js';
import { ManualClock } from '../support/clock.js';
import { openContext } from '../support/opened-context.js';
import { BACKENDS, openStores, type Stores } from '../support/stores.js';

const MINUTE = 60;
const IDLE = { JWTCTL_TOKEN_IDLE_TIMEOUT: '10m' };

describe.each(BACKENDS)('token.idleTimeout, on %s', (backend) => {
  let stores: Stores;
  let clock: ManualClock;
  let closers: Array<() => unknown>;

  beforeEach(async () => {
    closers = [];
    stores = await openStores(backend, {
      ...IDLE,
      JWTCTL_USERS_STATUS_TTL: '1d',
      JWTCTL_VERIFIER_GRACE: '1d',
    });
    clock = new ManualClock(stores.clock.now());
    await stores.json('keys', 'generate');
    await stores.json('users', 'add', 'alice');
  });
  afterEach(async () => {
    for (const close of closers.reverse()) await close();
    await stores.close();
  });

  async function open(
    options: LiveVerifierOptions = {},
    change: (context: Context) => Context = (context) => context,
  ): Promise<LiveVerifier> {
    const context = { ...(await openContext(stores)), clock };
    closers.push(() => context.dispose());
    const verifier = await openLiveVerifier(change(context), options);
    closers.push(() => verifier.close());
    return verifier;
  }

  async function advance(seconds: number): Promise<void> {
    await clock.awaited();
    stores.clock.advance(seconds);
    clock.advance(seconds);
  }

  const issue = (...flags: string[]) =>
    stores.json('token', 'issue', '--sub', 'alice', '--ttl', '12h', ...flags);

  async function verdict(verifier: LiveVerifier, token: string): Promise<string> {
    const result = await verifier.verify(token);
    return result.active ? 'active' : `${result.error.code} ${result.reason}`;
  }

  const IDLE_REFUSAL = 'ERR_TOKEN_IDLE Token Expired';

  /** Waits for the writes that run in the background. */
  const stored = (verifier: LiveVerifier, count: number) =>
    vi.waitFor(() => expect(verifier.health().uses?.stored).toBe(count), 15_000);

  const listed = async () => (await stores.json('token', 'list', '--sub', 'alice'))[0];
  const lastSeen = async () => (await listed())?.lastSeen;

  test.each([{ nearCache: false }, { nearCache: true }])(
    'a token in use stays accepted, and one that is not used is refused for good: %o',
    async (options) => {
      const verifier = await open(options);
      const { token } = await issue();
      const issuedAt = stores.clock.now();
      expect(await lastSeen()).toBe(issuedAt);
      for (let round = 0; round < 5; round++) {
        await advance(9 * MINUTE);
        expect(await verdict(verifier, token)).toBe('active');
        await stored(verifier, round + 1);
      }
      const usedAt = issuedAt + 45 * MINUTE;
      await advance(10 * MINUTE - 1);
      expect(await listed()).toMatchObject({ lastSeen: usedAt, idle: false });
      await advance(1);
      for (let round = 0; round < 3; round++) {
        expect(await verdict(verifier, token)).toBe(IDLE_REFUSAL);
        await advance(1);
      }
      expect(await listed()).toMatchObject({ lastSeen: usedAt, idle: true });
      const other = await issue();
      const { stdout } = await stores.run('token', 'list', '--sub', 'alice');
      expect(stdout).toMatch(/ LAST SEEN +STATE .*\n.* idle .*\n.* live /);
      expect(await verdict(verifier, other.token)).toBe('active');
    },
  );

  test.each([{ nearCache: false }, { nearCache: true }])(
    'a use is written once in a tenth of the timeout: %o',
    async (options) => {
      const verifier = await open(options);
      const { token } = await issue();
      for (let second = 0; second < 300; second += 5) {
        for (let times = 0; times < 20; times++) expect(await verdict(verifier, token)).toBe('active');
        await advance(5);
      }
      await stored(verifier, 4);
      if (options.nearCache && stores.isCluster) {
        expect(verifier.health().nearCache?.hits).toBeGreaterThan(1_000);
      }
    },
  );

  test('a use at one verifier counts at the others', async () => {
    const verifier = await open({ nearCache: true });
    const { token, jti, iat, kid } = await issue();
    expect(await verdict(verifier, token)).toBe('active');
    // In one process, a connection that waits for a lock keeps the other one from releasing it.
    const env = { ...stores.env, ...(stores.isCluster ? {} : { JWTCTL_TIMEOUT: '1s' }) };
    const context = await openContext({ ...stores, env });
    closers.push(() => context.dispose());
    const keyId = (await (await context.database()).keys.find(kid))?.id ?? 0;
    const other = (await context.registry()).openStatusReader({ nearCache: false, now: clock.now });
    closers.push(() => other.close());
    for (let round = 0; round < 4; round++) {
      await advance(6 * MINUTE);
      await vi.waitFor(() => other.touch('alice', { jti, iat, keyId }, clock.now()), 20_000);
    }
    expect(await verdict(verifier, token)).toBe('active');
    expect(verifier.health().uses).toMatchObject({ stored: 0, failed: 0 });
  });

  test('a use at a verifier whose clock is ahead does not keep a token alive', async () => {
    const verifier = await open();
    const { token } = await issue();
    const right = clock;
    clock = new ManualClock(right.now() + 8 * MINUTE);
    const ahead = await open();
    expect(await verdict(ahead, token)).toBe('active');
    await stored(ahead, 1);
    const usedAt = right.now();
    expect(await lastSeen()).toBe(usedAt + 8 * MINUTE);
    clock = right;
    expect(await verdict(verifier, token)).toBe('active');
    await stored(verifier, 1);
    expect(await lastSeen()).toBe(usedAt);
    await advance(10 * MINUTE);
    expect(await verdict(verifier, token)).toBe(IDLE_REFUSAL);
  });

  test('a token from before the setting counts as seen at its next use', async () => {
    delete stores.env.JWTCTL_TOKEN_IDLE_TIMEOUT;
    const { token } = await issue();
    Object.assign(stores.env, IDLE);
    const verifier = await open();
    await advance(60 * MINUTE);
    expect((await stores.run('token', 'verify', token)).exitCode).toBe(0);
    expect(await lastSeen()).toBeNull();
    expect(await verdict(verifier, token)).toBe('active');
    await stored(verifier, 1);
    expect(await lastSeen()).toBe(stores.clock.now());
    await advance(10 * MINUTE);
    expect(await verdict(verifier, token)).toBe(IDLE_REFUSAL);
  });

  test('`token verify` refuses an idle token, and does not count as a use', async () => {
    const { token } = await issue();
    const issuedAt = stores.clock.now();
    stores.clock.advance(9 * MINUTE);
    expect((await stores.run('token', 'verify', token)).exitCode).toBe(0);
    expect(await lastSeen()).toBe(issuedAt);
    stores.clock.advance(MINUTE);
    const { exitCode, stdout } = await stores.run('token', 'verify', token);
    expect([exitCode, stdout]).toEqual([1, expect.stringMatching(/ERR_TOKEN_IDLE[\s\S]*last used 10m ago/)]);
    expect((await stores.run('token', 'list', '--sub', 'alice')).stdout).toMatch(/LAST SEEN/);
  });

  test('closing the verifier stores the uses that it has gathered', async () => {
    const verifier = await open();
    const { token } = await issue();
    await advance(5 * MINUTE);
    expect(await verdict(verifier, token)).toBe('active');
    await verifier.close();
    expect(await lastSeen()).toBe(stores.clock.now());
  });

  test('a revocation wins over a use', async () => {
    const verifier = await open();
    const { token } = await issue();
    await advance(5 * MINUTE);
    expect(await verdict(verifier, token)).toBe('active');
    await stores.json('token', 'revoke', token);
    await stored(verifier, 1);
    expect(await verdict(verifier, token)).toContain('Authorization Failure');
    expect(await stores.json('token', 'list', '--sub', 'alice')).toEqual([]);
  });

  test('a use that cannot be stored is accepted, and reported', async () => {
    const changes: string[] = [];
    let isRefusing = true;
    const refusing = (context: Context): Context => ({
      ...context,
      registry: async () => {
        const registry = await context.registry();
        const { openStatusReader } = registry;
        return new Proxy(registry, {
          get: (target, name) => {
            if (name !== 'openStatusReader') {
              const member: unknown = Reflect.get(target, name, target);
              return typeof member === 'function' ? member.bind(target) : member;
            }
            return (options: Parameters<typeof openStatusReader>[0]) => {
              const reader = registry.openStatusReader(options);
              const touch = reader.touch.bind(reader);
              reader.touch = async (...args) => {
                if (isRefusing) throw new JwtctlError('ERR_REDIS_UNREACHABLE', 'It is read-only.');
                return touch(...args);
              };
              return reader;
            };
          },
        });
      },
    });
    const onStateChange = ({ level, fields }: { level: string; fields: object }) => {
      if ('storesUses' in fields) changes.push(level);
    };
    const verifier = await open({ onStateChange }, refusing);
    const { token } = await issue();
    for (let round = 0; round < 10; round++) {
      await advance(2 * MINUTE);
      expect(await verdict(verifier, token)).toBe('active');
    }
    expect(verifier.health().uses).toMatchObject({ stored: 0, failed: 10, code: 'ERR_REDIS_UNREACHABLE' });
    isRefusing = false;
    await advance(2 * MINUTE);
    expect(await verdict(verifier, token)).toBe('active');
    await stored(verifier, 1);
    await advance(1);
    await vi.waitFor(() => expect(changes).toEqual(['warn', 'info']), 5_000);
  });

  test('without it, nothing is stored', async () => {
    delete stores.env.JWTCTL_TOKEN_IDLE_TIMEOUT;
    const verifier = await open();
    const { token } = await issue();
    await advance(11 * 60 * MINUTE);
    expect(await verdict(verifier, token)).toBe('active');
    expect([verifier.health().uses, await lastSeen()]).toEqual([null, null]);
  });

  test('a timeout below ten seconds is an error of the configuration', async () => {
    stores.env.JWTCTL_TOKEN_IDLE_TIMEOUT = '9s';
    const { exitCode, stdout } = await stores.run('config', 'validate');
    expect([exitCode, stdout]).toEqual([2, expect.stringContaining('at least 10s')]);
  });
});
