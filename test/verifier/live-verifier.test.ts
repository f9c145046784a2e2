import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { Context } from '../../src/app/context.js';
import type { Database } from '../../src/domain/ports/index.js';
import { JwtctlError } from '../../src/domain/shared/errors.js';
import {
  type LiveVerifier,
  type LiveVerifierOptions,
  openLiveVerifier,
} from '../../src/verifier/live-verifier.js';
import { ManualClock } from '../support/clock.js';
import { openContext } from '../support/opened-context.js';
import { rsaPair } from '../support/signing.js';
import { BACKENDS, openStores, type Stores } from '../support/stores.js';

const AWAY = new JwtctlError('ERR_MYSQL_UNREACHABLE', 'The database is away.');

let stores: Stores;
/** The verifiers'. The command line's jumps by itself to what it waits for. */
let clock: ManualClock;
let contexts: Context[];
let verifiers: LiveVerifier[];

async function open(
  options: LiveVerifierOptions = {},
  change: (context: Context) => Context = (context) => context,
): Promise<LiveVerifier> {
  const context = { ...(await openContext(stores)), clock };
  contexts.push(context);
  const verifier = await openLiveVerifier(change(context), options);
  verifiers.push(verifier);
  return verifier;
}

/** For everybody. The verifiers read the log as often as their clock says. */
async function advance(seconds: number): Promise<void> {
  await clock.awaited();
  stores.clock.advance(seconds);
  clock.advance(seconds);
}

async function issue(sub: string): Promise<{ token: string; jti: string; kid: string }> {
  return stores.json('token', 'issue', '--sub', sub, '--create-user');
}

async function verdict(verifier: LiveVerifier, token: string): Promise<string> {
  try {
    const result = await verifier.verify(token);
    return result.active ? 'active' : result.error.code;
  } catch (error) {
    return (error as JwtctlError).code;
  }
}

/** The same whose calls of these stores' reads go through `around` first. */
function intercepted(context: Context, around: (name: string) => void): Context {
  const over = <T extends object>(store: T, names: ReadonlyArray<keyof T>): T =>
    new Proxy(store, {
      get: (target, name) => {
        const member: unknown = Reflect.get(target, name, target);
        if (typeof member !== 'function') return member;
        if (!names.includes(name as keyof T)) return member.bind(target);
        return async (...args: unknown[]) => {
          around(String(name));
          return member.apply(target, args);
        };
      },
    });
  const database = async (): Promise<Database> => {
    const real = await context.database();
    return {
      ...real,
      server: async () => {
        around('server');
        return real.server();
      },
      users: over(real.users, ['findMany', 'find']),
      keys: over(real.keys, ['snapshot']),
      securityLog: over(real.securityLog, ['listAfter']),
    };
  };
  return { ...context, database, users: async () => (await database()).users };
}

/** The same whose database cannot be read while `isAway` says so. */
function failing(context: Context, isAway: () => boolean): Context {
  return intercepted(context, () => {
    if (isAway()) throw AWAY;
  });
}

describe.each(BACKENDS)('a verifier that runs for long, on %s', (backend) => {
  beforeEach(async () => {
    contexts = [];
    verifiers = [];
    stores = await openStores(backend);
    clock = new ManualClock(stores.clock.now());
    await stores.json('keys', 'generate');
  });
  afterEach(async () => {
    for (const verifier of verifiers) await verifier.close();
    for (const context of contexts) await context.dispose();
    await stores.close();
  });

  test.each([{ nearCache: false }, { nearCache: true }])(
    'sees with the next verification what the registry was told: %o',
    async (options) => {
      const verifier = await open(options);
      const [alice, bob] = [await issue('alice'), await issue('bob')];
      for (let round = 0; round < 3; round++) expect(await verdict(verifier, alice.token)).toBe('active');
      expect(await verdict(verifier, bob.token)).toBe('active');
      const until = (token: string, code: string | RegExp) =>
        expect.poll(() => verdict(verifier, token), { interval: 1, timeout: 1000 }).toMatch(code);

      await stores.json('token', 'revoke', alice.token);
      await until(alice.token, /^ERR_TOKEN_(NOT_REGISTERED|REVOKED)$/);
      expect(await verdict(verifier, bob.token)).toBe('active');
      await stores.json('users', 'disable', 'bob');
      await until(bob.token, 'ERR_USER_DISABLED');
      await stores.json('users', 'enable', 'bob');
      await until(bob.token, 'active');
      await stores.json('cache', 'flush', '--all', '--yes');
      await until(bob.token, 'ERR_TOKEN_NOT_REGISTERED');
    },
  );

  test('remembers a signature, but not beyond the exp, nor across a change of its key', async () => {
    const verifier = await open();
    const { token, kid } = await issue('alice');
    for (let round = 0; round < 5; round++) expect(await verdict(verifier, token)).toBe('active');
    expect(verifier.health().signatures).toMatchObject({ entries: 1, hits: 4, misses: 1 });

    await stores.json('keys', 'compromise', kid, '--reason', 'leaked');
    expect(await verdict(verifier, token)).not.toBe('active');
    await advance(1);
    await expect.poll(() => verdict(verifier, token)).toBe('ERR_KEY_NOT_TRUSTED');
  });

  test('a new key under the same id and kid does not accept tokens of the old one', async () => {
    const verifier = await open();
    const { token, kid } = await issue('alice');
    expect(await verdict(verifier, token)).toBe('active');
    const publicKey = rsaPair().publicKey.export({ type: 'spki', format: 'pem' });
    await stores.query(`UPDATE keystore SET public_key = '${publicKey}' WHERE kid = '${kid}'`);
    await advance(1);
    await expect.poll(() => verdict(verifier, token)).toBe('ERR_SIGNATURE_INVALID');
  });

  test('a token that runs out is refused as expired, remembered or not', async () => {
    const { token } = await stores.json('token', 'issue', '--sub', 'alice', '--create-user', '--ttl', '60s');
    const verifier = await open();
    expect(await verdict(verifier, token)).toBe('active');
    await advance(64);
    expect(await verdict(verifier, token)).toBe('active');
    await advance(1);
    expect(await verdict(verifier, token)).toBe('ERR_TOKEN_EXPIRED');
    expect(verifier.health().signatures.misses).toBe(1);
  });

  test('what it answers is frozen: many requests are answered with the same', async () => {
    const verifier = await open({ nearCache: true });
    const { token } = await stores.json(
      ...(['token', 'issue', '--sub', 'alice', '--create-user', '--claim', 'roles=["user"]'] as const),
    );
    const result = await verifier.verify(token);
    if (!result.active) return expect.unreachable();
    const roles = result.payload.roles as string[];
    expect(() => roles.push('admin')).toThrow(TypeError);
    expect(() => Object.assign(result.payload, { sub: 'bob' })).toThrow(TypeError);
    expect(() => Object.assign(result.header, { kid: 'x' })).toThrow(TypeError);
    expect(await verifier.verify(token)).toMatchObject({ payload: { sub: 'alice', roles: ['user'] } });
  });

  test('an altered token is refused, however well the real one is known', async () => {
    const verifier = await open({ nearCache: true });
    const { token } = await issue('alice');
    const other = await issue('mallory');
    expect(await verdict(verifier, token)).toBe('active');
    const [header, payload, signature] = token.split('.') as [string, string, string];
    const forged = [header, other.token.split('.')[1], signature].join('.');
    expect(await verdict(verifier, forged)).toBe('ERR_SIGNATURE_INVALID');
    expect(await verdict(verifier, `${header}.${payload}.${signature.slice(0, -2)}AA`)).not.toBe('active');
    expect(await verdict(verifier, token)).toBe('active');
  });

  test('the database may be away for the time of grace, and then nothing is accepted until it is back', async () => {
    let isAway = false;
    const verifier = await open({ nearCache: true }, (context) => failing(context, () => isAway));
    const known = await issue('alice');
    const unseen = await issue('bob');
    expect(await verdict(verifier, known.token)).toBe('active');
    expect(verifier.health()).toMatchObject({ isReady: true, database: { state: 'up', code: null } });

    isAway = true;
    const away = async (seconds: number) => {
      await advance(seconds);
      await expect.poll(() => verifier.health().database.code).toBe(AWAY.code);
    };
    await away(90);
    // The users' states were noted for a minute.
    expect([await verdict(verifier, known.token), await verdict(verifier, unseen.token)]).toEqual([
      'active',
      'active',
    ]);
    expect(verifier.health()).toMatchObject({ isReady: true, database: { state: 'degraded' } });

    await away(209);
    expect(await verdict(verifier, known.token)).toBe('active');
    await away(1);
    expect(await verdict(verifier, known.token)).toBe('ERR_VERIFIER_GRACE_EXCEEDED');
    expect(verifier.health()).toMatchObject({ isReady: false, database: { state: 'down' } });
    await expect(verifier.jwkSet()).rejects.toMatchObject({ kind: 'unavailable' });

    isAway = false;
    await advance(1);
    await expect.poll(() => verdict(verifier, known.token)).toBe('active');
    expect(verifier.health()).toMatchObject({ isReady: true, database: { state: 'up', code: null } });
  });

  test('while the database is away a kid that is not known is not refused, for nobody can say', async () => {
    let isAway = false;
    const verifier = await open({}, (context) => failing(context, () => isAway));
    await stores.json('keys', 'rotate', '--now');
    const later = await issue('alice');
    isAway = true;
    await advance(1);
    expect(await verdict(verifier, later.token)).toBe(AWAY.code);
    isAway = false;
    await advance(1);
    await expect.poll(() => verdict(verifier, later.token)).toBe('active');
  });

  test('of a user who was disabled while their state was noted otherwise, the later word counts', async () => {
    const verifier = await open({ nearCache: true });
    const { token } = await issue('alice');
    expect(await verdict(verifier, token)).toBe('active');
    // The log alone knows of it, as after a failover.
    const context = contexts[0] as Context;
    const { users, securityLog } = await context.database();
    const now = stores.clock.now();
    const changed = await users.setStatus('alice', 'disabled', now);
    await securityLog.append({
      ...{ type: 'user_disabled', sub: 'alice', userVersion: changed?.user.version ?? 0 },
      ...{ reason: null, at: now, expiresAt: now + 9999 },
    });
    await advance(1);
    await expect.poll(() => verdict(verifier, token)).toBe('ERR_USER_DISABLED');
  });

  test.each([
    { type: 'user_disabled', code: 'ERR_USER_DISABLED' },
    { type: 'token_revoked', code: 'ERR_TOKEN_REVOKED' },
  ] as const)('what the directory said before a $type is not believed after it', async ({ type, code }) => {
    let release = () => {};
    let isRead = false;
    let held: Promise<void> | null = new Promise((resolve) => {
      release = resolve;
    });
    const slow = (context: Context): Context => ({
      ...context,
      users: async () => {
        const users = await context.users();
        return {
          find: (sub) => users.find(sub),
          list: () => users.list(),
          findMany: async (subs) => {
            const [found, answered] = [await users.findMany(subs), held];
            held = null;
            isRead = true;
            await answered;
            return found;
          },
        };
      },
    });
    const verifier = await open({}, slow);
    const [alice, bob] = [await issue('alice'), await issue('bob')];
    // Nobody has noted what they are any more.
    await advance(61);
    const early = verdict(verifier, alice.token);
    await expect.poll(() => isRead).toBe(true);

    const { users, securityLog } = await (contexts[0] as Context).database();
    const now = stores.clock.now();
    const times = { reason: null, at: now, expiresAt: now + 9999 };
    const changed = type === 'user_disabled' ? await users.setStatus('alice', 'disabled', now) : null;
    const named = changed === null ? { jti: alice.jti } : { userVersion: changed.user.version };
    await securityLog.append({ type, sub: 'alice', ...named, ...times });
    await securityLog.append({ type: 'token_revoked', sub: 'bob', jti: bob.jti, ...times });
    await advance(1);
    // The log has been read as far as that.
    await expect.poll(() => verdict(verifier, bob.token)).toBe('ERR_TOKEN_REVOKED');
    const late = verdict(verifier, alice.token);
    await new Promise((resolve) => setTimeout(resolve, 20));
    release();
    expect([await early, await late]).toEqual([code, code]);
  });

  test('lists the keys that a token can be valid under, and says which one signs', async () => {
    const pending = await stores.json('keys', 'generate');
    const verifier = await open();
    const { keys } = await verifier.jwkSet();
    expect(keys.map(({ kid }) => kid)).toContain(pending.kid);
    expect(Object.keys(keys[0] ?? {}).sort()).toEqual(['alg', 'e', 'kid', 'kty', 'n', 'use']);
    const listed = await stores.json('keys', 'list', '--state', 'active');
    expect(verifier.health().keys).toEqual({
      trusted: 2,
      active: { kid: listed[0].kid, activatedAt: listed[0].activatedAt },
    });
  });

  test('20,000 tokens with made-up kids cause only a few reads of the key store', async () => {
    let reads = 0;
    const verifier = await open({}, (context) =>
      intercepted(context, (name) => {
        if (name === 'snapshot') reads += 1;
      }),
    );
    const { token } = await issue('alice');
    const [, payload, signature] = token.split('.');
    const invented = (index: number) => {
      const header = Buffer.from(JSON.stringify({ alg: 'RS256', kid: `invented-${index}` }));
      return `${header.toString('base64url')}.${payload}.${signature}`;
    };
    const codes = new Map<string, number>();
    const asked = Array.from({ length: 20_000 }, async (_, index) => {
      const code = await verdict(verifier, invented(index));
      codes.set(code, (codes.get(code) ?? 0) + 1);
    });
    expect(await verdict(verifier, token)).toBe('active');
    // All but the few waiting ones are refused, although no time has passed.
    await expect.poll(() => codes.get('ERR_VERIFIER_OVERLOADED'), { timeout: 20_000 }).toBe(20_000 - 16);
    await advance(1);
    await Promise.all(asked);
    expect(codes.get('ERR_KEY_UNKNOWN')).toBe(16);
    expect(reads).toBeLessThan(6);
  });
});
