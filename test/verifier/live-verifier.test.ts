import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { Context } from '../../src/app/context.js';
import type { Database, Heartbeat } from '../../src/domain/ports/index.js';
import { JwtctlError } from '../../src/domain/shared/errors.js';
import type { LiveVerifier } from '../../src/verifier/live-verifier.js';
import { type LiveVerifierOptions, openLiveVerifier } from '../../src/verifier/open-live-verifier.js';
import { ManualClock } from '../support/clock.js';
import { openContext } from '../support/opened-context.js';
import { rsaPair } from '../support/signing.js';
import { BACKENDS, openStores, type Stores } from '../support/stores.js';

const OUTAGE = new JwtctlError('ERR_MYSQL_UNREACHABLE', 'The database is down.');

let stores: Stores;
/** The clock of the verifiers. The clock of the CLI advances by itself. */
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

/** Moves both clocks. */
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

async function fleet(): Promise<readonly Heartbeat[]> {
  return (await (await contexts[0]?.registry())?.fleet(clock.now()))?.verifiers ?? [];
}

/** Returns a context that calls `before` ahead of each read of the database. */
function intercepted(context: Context, before: (name: string) => void): Context {
  const over = <T extends object>(store: T, names: ReadonlyArray<keyof T>): T =>
    new Proxy(store, {
      get: (target, name) => {
        const member: unknown = Reflect.get(target, name, target);
        if (typeof member !== 'function') return member;
        if (!names.includes(name as keyof T)) return member.bind(target);
        return async (...args: unknown[]) => {
          before(String(name));
          return member.apply(target, args);
        };
      },
    });
  const database = async (): Promise<Database> => {
    const real = await context.database();
    return {
      ...real,
      server: async () => {
        before('server');
        return real.server();
      },
      users: over(real.users, ['findMany', 'find']),
      keys: over(real.keys, ['snapshot']),
      securityLog: over(real.securityLog, ['listAfter']),
    };
  };
  return { ...context, database, users: async () => (await database()).users };
}

/** Returns a context whose database cannot be read while `isDown` returns true. */
function failing(context: Context, isDown: () => boolean): Context {
  return intercepted(context, () => {
    if (isDown()) throw OUTAGE;
  });
}

describe.each(BACKENDS)('a long-running verifier on %s', (backend) => {
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
    'sees each change in the next verification: %o',
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

  test('checks a signature once, and again after a change of its key', async () => {
    const verifier = await open();
    const { token, kid } = await issue('alice');
    for (let round = 0; round < 5; round++) expect(await verdict(verifier, token)).toBe('active');
    expect(verifier.health().signatures).toMatchObject({ entries: 1, hits: 4, misses: 1 });

    await stores.json('keys', 'compromise', kid, '--reason', 'leaked', '--yes');
    expect(await verdict(verifier, token)).not.toBe('active');
    await advance(1);
    await expect.poll(() => verdict(verifier, token)).toBe('ERR_KEY_NOT_TRUSTED');
  });

  test('reports how many tokens it has refused', async () => {
    const verifier = await open();
    const { token } = await issue('alice');
    for (const presented of [token, 'malformed', token, `${token}x`]) await verdict(verifier, presented);
    await advance(2);
    await expect.poll(async () => (await fleet())[0]?.refused).toBe(2);
  });

  test('refuses tokens of an old key if a new key has the same id and kid', async () => {
    const verifier = await open();
    const { token, kid } = await issue('alice');
    expect(await verdict(verifier, token)).toBe('active');
    const publicKey = rsaPair().publicKey.export({ type: 'spki', format: 'pem' });
    await stores.query(`UPDATE keystore SET public_key = '${publicKey}' WHERE kid = '${kid}'`);
    await advance(1);
    await expect.poll(() => verdict(verifier, token)).toBe('ERR_SIGNATURE_INVALID');
  });

  test('refuses a known token once it expires', async () => {
    const { token } = await stores.json('token', 'issue', '--sub', 'alice', '--create-user', '--ttl', '60s');
    const verifier = await open();
    expect(await verdict(verifier, token)).toBe('active');
    await advance(64);
    expect(await verdict(verifier, token)).toBe('active');
    await advance(1);
    expect(await verdict(verifier, token)).toBe('ERR_TOKEN_EXPIRED');
    expect(verifier.health().signatures.misses).toBe(1);
  });

  test('returns frozen results, because callers share them', async () => {
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

  test('refuses an altered copy of a known token', async () => {
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

  test('works without the database during the grace period, and refuses all tokens after it', async () => {
    let isDown = false;
    const verifier = await open({ nearCache: true }, (context) => failing(context, () => isDown));
    const known = await issue('alice');
    const unseen = await issue('bob');
    expect(await verdict(verifier, known.token)).toBe('active');
    expect(verifier.health()).toMatchObject({ isReady: true, database: { state: 'up', code: null } });

    isDown = true;
    const pass = async (seconds: number) => {
      await advance(seconds);
      await expect.poll(() => verifier.health().database.code).toBe(OUTAGE.code);
    };
    await pass(90);
    // The cached user statuses expired after 60 s.
    expect([await verdict(verifier, known.token), await verdict(verifier, unseen.token)]).toEqual([
      'active',
      'active',
    ]);
    expect(verifier.health()).toMatchObject({ isReady: true, database: { state: 'degraded' } });

    await pass(209);
    expect(await verdict(verifier, known.token)).toBe('active');
    await pass(1);
    expect(await verdict(verifier, known.token)).toBe('ERR_VERIFIER_GRACE_EXCEEDED');
    expect(verifier.health()).toMatchObject({ isReady: false, database: { state: 'down' } });
    await expect(verifier.jwkSet()).rejects.toMatchObject({ kind: 'unavailable' });

    isDown = false;
    await advance(1);
    await expect.poll(() => verdict(verifier, known.token)).toBe('active');
    expect(verifier.health()).toMatchObject({ isReady: true, database: { state: 'up', code: null } });
  });

  test('answers unavailable for an unknown kid while the database is down', async () => {
    let isDown = false;
    const verifier = await open({}, (context) => failing(context, () => isDown));
    await stores.json('keys', 'rotate', '--now');
    const later = await issue('alice');
    isDown = true;
    await advance(1);
    expect(await verdict(verifier, later.token)).toBe(OUTAGE.code);
    isDown = false;
    await advance(1);
    await expect.poll(() => verdict(verifier, later.token)).toBe('active');
  });

  test('prefers a newer event in the log over the cached user status', async () => {
    const verifier = await open({ nearCache: true });
    const { token } = await issue('alice');
    expect(await verdict(verifier, token)).toBe('active');
    // Only the log has the change, as after a failover.
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
  ] as const)('does not use an answer of the directory from before a $type', async ({ type, code }) => {
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
    // The cached user statuses have expired.
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
    // Proves that the log has been read up to here.
    await expect.poll(() => verdict(verifier, bob.token)).toBe('ERR_TOKEN_REVOKED');
    const late = verdict(verifier, alice.token);
    await new Promise((resolve) => setTimeout(resolve, 20));
    release();
    expect([await early, await late]).toEqual([code, code]);
  });

  test('returns the JWK Set, and reports the active key', async () => {
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
    // All but the 16 waiting ones are refused at once.
    await expect.poll(() => codes.get('ERR_VERIFIER_OVERLOADED'), { timeout: 20_000 }).toBe(20_000 - 16);
    await advance(1);
    await Promise.all(asked);
    expect(codes.get('ERR_KEY_UNKNOWN')).toBe(16);
    expect(reads).toBeLessThan(6);
  });
});
