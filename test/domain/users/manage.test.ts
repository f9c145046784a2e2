import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { SecurityEvent, TokenRegistry, UserStatus } from '../../../src/domain/ports/index.js';
import { JwtctlError } from '../../../src/domain/shared/errors.js';
import { addUser, removeUser, setUserStatus } from '../../../src/domain/users/manage.js';
import { type EmbeddedService, openEmbeddedService, POLICY } from '../../support/embedded-service.js';
import { registerOne } from '../../support/registering.js';

let service: EmbeddedService;

beforeEach(async () => {
  service = await openEmbeddedService();
});
afterEach(() => service.close());

const away = () => Promise.reject(new JwtctlError('ERR_REDIS_UNREACHABLE', 'Redis is away.'));
const gone: Partial<TokenRegistry> = { list: away, remove: away, setUserStatus: away, tokenStatus: away };
const recorded = { kind: 'unavailable', code: 'ERR_RECORDED_NOT_APPLIED' };

function add(sub: string, dryRun = false) {
  return addUser(service.ports, { sub, name: null, dryRun });
}

async function setStatus(sub: string, status: UserStatus, ports = service.ports, dryRun = false) {
  return (await setUserStatus(ports, POLICY, { sub, status, reason: 'left', dryRun })).user;
}

function remove(sub: string, ports = service.ports, dryRun = false) {
  return removeUser(ports, POLICY, { sub, reason: 'left', dryRun });
}

async function events(sub = 'alice'): Promise<SecurityEvent[]> {
  return service.database.securityLog.findConcerning({ sub, kid: 'none', jti: null });
}

async function audited(): Promise<string[]> {
  const rows = await service.db.selectFrom('audit_log').selectAll().orderBy('seq').execute();
  return rows
    .filter(({ action }) => action.startsWith('users.'))
    .map(({ action, target }) => `${action} ${target}`);
}

/** Restores the user's earlier status in the registry, like a failover that loses the last write. */
async function forgetLastStatus(sub: string, version: number): Promise<void> {
  const known = { status: 'enabled', version, known_until: service.clock.now() + 9_999 } as const;
  await service.db.updateTable('registry_users').set(known).where('sub', '=', sub).execute();
  const rows = await service.db.selectFrom('registry_users').selectAll().where('sub', '=', sub).execute();
  expect(rows).toEqual([{ sub, ...known }]);
}

describe('adding a user', () => {
  test('adds an enabled user', async () => {
    const at = service.clock.now();
    const user = await addUser(service.ports, { sub: 'alice', name: 'Alice', dryRun: false });
    expect(user).toEqual({
      sub: 'alice',
      name: 'Alice',
      status: 'enabled',
      version: 1,
      createdAt: at,
      updatedAt: at,
    });
    expect(await service.database.users.find('alice')).toEqual(user);
    expect(await audited()).toEqual(['users.add alice']);
  });

  test('refuses an existing user, also in a dry run', async () => {
    await add('alice');
    await expect(add('alice')).rejects.toMatchObject({ kind: 'state', code: 'ERR_USER_EXISTS' });
    await expect(add('alice', true)).rejects.toMatchObject({ kind: 'state', code: 'ERR_USER_EXISTS' });
    expect(await audited()).toEqual(['users.add alice']);
  });

  test('adds no user in a dry run', async () => {
    expect(await add('alice', true)).toMatchObject({ sub: 'alice', status: 'enabled' });
    expect(await service.database.users.find('alice')).toBeNull();
    expect(await audited()).toEqual([]);
  });
});

describe('disabling a user', () => {
  test('refuses all of their tokens at once, and enabling accepts them again', async () => {
    const alice = await service.issueTo('alice');
    const bob = await service.issueTo('bob');
    expect(await service.verdict(alice.token)).toBe('active');
    expect(await setStatus('alice', 'disabled')).toMatchObject({ status: 'disabled', version: 2 });
    expect(await service.verdict(alice.token)).toBe('ERR_USER_DISABLED');
    expect(await service.verdict(bob.token)).toBe('active');
    expect(await setStatus('alice', 'enabled')).toMatchObject({ status: 'enabled', version: 3 });
    expect(await service.verdict(alice.token)).toBe('active');
  });

  test('records an event with the version and the reason', async () => {
    await service.issueTo('alice');
    await setStatus('alice', 'disabled');
    await setStatus('alice', 'enabled');
    expect(await events()).toMatchObject([
      { type: 'user_disabled', userVersion: 2, reason: 'left' },
      { type: 'user_enabled', userVersion: 3, reason: 'left' },
    ]);
    expect(await audited()).toEqual(['users.disable alice', 'users.enable alice']);
  });

  test("returns the event's id, even of an earlier change, and null for a dry run", async () => {
    await service.issueTo('alice');
    const input = { sub: 'alice', status: 'disabled', reason: null } as const;
    const idOf = async (dryRun: boolean) =>
      (await setUserStatus(service.ports, POLICY, { ...input, dryRun })).eventId;
    expect(await idOf(true)).toBeNull();
    const first = await idOf(false);
    expect(await events()).toMatchObject([{ id: first, type: 'user_disabled' }]);
    expect(await idOf(false)).toBe(first);
    await setStatus('alice', 'enabled');
    const again = await idOf(false);
    expect((await events()).at(-1)).toMatchObject({ id: again, type: 'user_disabled' });
    expect(await idOf(false)).toBe(again);
  });

  test('records no event if already disabled, and updates the registry again', async () => {
    const { token } = await service.issueTo('alice');
    await setStatus('alice', 'disabled');
    await service.db.deleteFrom('registry_users').execute();
    const before = await events();
    expect(await setStatus('alice', 'disabled')).toMatchObject({ status: 'disabled', version: 2 });
    expect(await events()).toEqual(before);
    expect(await audited()).toEqual(['users.disable alice']);
    const known = await service.db.selectFrom('registry_users').selectAll().execute();
    expect(known).toMatchObject([{ sub: 'alice', status: 'disabled', version: 2 }]);
    expect(await service.verdict(token)).toBe('ERR_USER_DISABLED');
  });

  test('stays effective after the registry lost it in a failover', async () => {
    const { token } = await service.issueTo('alice');
    await setStatus('alice', 'disabled');
    await forgetLastStatus('alice', 1);
    expect(await service.verdict(token)).toBe('ERR_USER_DISABLED');
    await forgetLastStatus('alice', 1);
    expect(await service.verdict(token)).toBe('ERR_USER_DISABLED');
  });

  test('holds though the registry cannot be reached, which is said', async () => {
    const { token } = await service.issueTo('alice');
    await expect(setStatus('alice', 'disabled', service.withRegistry(gone))).rejects.toMatchObject(recorded);
    expect(await events()).toMatchObject([{ type: 'user_disabled', userVersion: 2 }]);
    expect(await service.database.users.find('alice')).toMatchObject({ status: 'disabled' });
    expect(await service.verdict(token)).toBe('ERR_USER_DISABLED');
    expect(await setStatus('alice', 'disabled')).toMatchObject({ status: 'disabled', version: 2 });
  });

  test('who does not exist is refused', async () => {
    await add('Alice');
    for (const dryRun of [false, true]) {
      await expect(setStatus('alice', 'disabled', service.ports, dryRun)).rejects.toMatchObject({
        kind: 'not_found',
        code: 'ERR_USER_UNKNOWN',
      });
    }
  });

  test('as a dry run changes nothing', async () => {
    const { token } = await service.issueTo('alice');
    expect(await setStatus('alice', 'disabled', service.ports, true)).toMatchObject({ status: 'disabled' });
    expect(await service.database.users.find('alice')).toMatchObject({ status: 'enabled', version: 1 });
    expect(await service.verdict(token)).toBe('active');
    expect(await events()).toEqual([]);
  });

  test("and enabling concurrently leaves the directory's status", async () => {
    const { token } = await service.issueTo('alice');
    await Promise.all(
      Array.from({ length: 9 }, (_, index) => setStatus('alice', index % 2 === 0 ? 'disabled' : 'enabled')),
    );
    const { status, version } = (await service.database.users.find('alice')) ?? expect.unreachable();
    const known = await service.db.selectFrom('registry_users').selectAll().execute();
    expect(known).toMatchObject([{ status, version }]);
    expect(await service.verdict(token)).toBe(status === 'enabled' ? 'active' : 'ERR_USER_DISABLED');
  });
});

describe('removing a user', () => {
  test("revokes the user's tokens and removes their entries", async () => {
    const alice = await service.issueTo('alice');
    const bob = await service.issueTo('bob');
    expect(await remove('alice')).toMatchObject({ user: { sub: 'alice', version: 1 } });
    expect(await service.verdict(alice.token)).toBe('ERR_TOKEN_REVOKED');
    expect(await service.verdict(bob.token)).toBe('active');
    expect(await service.database.users.find('alice')).toBeNull();
    expect(await service.registry.list('alice', service.clock.now())).toEqual([]);
    expect(await events()).toMatchObject([
      { type: 'user_removed', userVersion: 2 },
      { type: 'subject_revoked', issuedBefore: service.clock.now() },
    ]);
    expect(await audited()).toEqual(['users.remove alice']);
  });

  test('a later user with the same name has a higher version and no old token', async () => {
    const old = await service.issueTo('alice');
    await setStatus('alice', 'disabled');
    const removed = await remove('alice');
    expect(removed.user.version).toBe(2);
    const added = await add('alice');
    expect(added.version).toBeGreaterThan(removed.user.version + 1);
    expect(await service.database.users.find('alice')).toEqual(added);
    expect(await service.verdict(old.token)).toBe('ERR_TOKEN_REVOKED');

    service.clock.advance(1);
    const fresh = await service.issuer().issue({ sub: 'alice' });
    expect(await service.verdict(fresh.token)).toBe('active');
    expect(await service.verdict(old.token)).toBe('ERR_TOKEN_REVOKED');
  });

  test('never lowers the version when repeated', async () => {
    const versions: number[] = [];
    for (let round = 0; round < 4; round++) {
      versions.push((await add('alice')).version);
      versions.push((await setStatus('alice', 'disabled')).version);
      await remove('alice');
    }
    expect(versions).toEqual([...versions].sort((a, b) => a - b));
    expect(new Set(versions).size).toBe(versions.length);
  });

  test('also revokes a token from a host whose clock is ahead', async () => {
    await add('alice');
    const now = service.clock.now();
    await registerOne(
      service.registry,
      'alice',
      { jti: 'a', keyId: 1, iat: now + 4, exp: now + 60 },
      { now },
    );
    await remove('alice');
    expect(await events()).toMatchObject([{ type: 'user_removed' }, { issuedBefore: now + 4 }]);
  });

  test('holds though the registry cannot be reached, which is said', async () => {
    const { token, jti } = await service.issueTo('alice');
    await expect(remove('alice', service.withRegistry(gone))).rejects.toMatchObject(recorded);
    expect(await service.registry.list('alice', service.clock.now())).toMatchObject([{ jti }]);
    expect(await service.verdict(token)).toBe('ERR_TOKEN_REVOKED');
    await add('alice');
    expect(await service.verdict(token)).toBe('ERR_TOKEN_REVOKED');
  });

  test('who does not exist is refused', async () => {
    for (const dryRun of [false, true]) {
      await expect(remove('alice', service.ports, dryRun)).rejects.toMatchObject({
        code: 'ERR_USER_UNKNOWN',
      });
    }
    expect(await events()).toEqual([]);
  });

  test('as a dry run changes nothing', async () => {
    const { token } = await service.issueTo('alice');
    expect(await remove('alice', service.ports, true)).toMatchObject({ user: { sub: 'alice' } });
    expect(await service.verdict(token)).toBe('active');
    expect(await events()).toEqual([]);
  });

  test('and adding the same user 8 times concurrently leaves one user with the highest version', async () => {
    await add('alice');
    const outcomes = await Promise.allSettled(
      Array.from({ length: 8 }, (_, index) => (index % 2 === 0 ? remove('alice') : add('alice'))),
    );
    for (const outcome of outcomes) {
      if (outcome.status === 'rejected') {
        expect(['ERR_USER_EXISTS', 'ERR_USER_UNKNOWN']).toContain(outcome.reason.code);
      }
    }
    const user = await service.database.users.find('alice');
    const highest = (await service.database.securityLog.highestUserVersions(['alice'])).get('alice') ?? 0;
    if (user !== null) expect(user.version).toBeGreaterThan(highest);
  });
});
