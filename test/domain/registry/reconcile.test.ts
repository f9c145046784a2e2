import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { compromiseKey } from '../../../src/domain/keys/compromise.js';
import { generateKeys } from '../../../src/domain/keys/generate.js';
import { findPurgeable, purgeKeys } from '../../../src/domain/keys/purge.js';
import { retireKey } from '../../../src/domain/keys/retire.js';
import type {
  Administration,
  RegistryEntry,
  ScannedSubject,
  TokenRegistry,
  UserDirectory,
} from '../../../src/domain/ports/index.js';
import {
  type ReconciliationInput,
  type ReconciliationReport,
  reconcileRegistry,
} from '../../../src/domain/registry/reconcile.js';
import { JwtctlError } from '../../../src/domain/shared/errors.js';
import {
  countGlobal,
  revokeGlobally,
  revokeSubject,
  revokeToken,
} from '../../../src/domain/tokens/revoke.js';
import { removeUser, setUserStatus } from '../../../src/domain/users/manage.js';
import { type EmbeddedService, openEmbeddedService, POLICY } from '../../support/embedded-service.js';

const REASON = { reason: null, dryRun: false };
const NOTHING = {
  complete: true,
  missed: [],
  dropped: { keyNotTrusted: 0, revoked: 0, userUnknown: 0 },
  statusesCached: 0,
  expiriesSet: 0,
  leftovers: 0,
};

let service: EmbeddedService;
let keyId: number;

beforeEach(async () => {
  service = await openEmbeddedService();
  keyId = (await service.database.keys.snapshot()).keys[0]?.id ?? 0;
});
afterEach(() => service.close());

const away = () => Promise.reject(new JwtctlError('ERR_REDIS_UNREACHABLE', 'Redis is away.'));

function reconcile(
  input: Partial<ReconciliationInput> = {},
  ports: Administration & { users?: UserDirectory } = service.ports,
): Promise<ReconciliationReport> {
  return reconcileRegistry(
    { users: service.database.users, ...ports },
    { ...POLICY, ownsUsers: true, dryRun: false, ...input },
  );
}

/** Beside what `expected` says nothing is reported. Tried first, then done; and then there is nothing left to do. */
async function mends(expected: Partial<ReconciliationReport>, input: Partial<ReconciliationInput> = {}) {
  const before = await content();
  const tried = await reconcile({ ...input, dryRun: true });
  expect(tried).toMatchObject({ ...NOTHING, ...expected });
  expect(await content()).toEqual(before);
  expect(await reconcile(input)).toEqual(tried);
  const after = await content();
  expect(await reconcile(input)).toMatchObject(NOTHING);
  expect(await content()).toEqual(after);
}

async function content() {
  const { db } = service;
  return Promise.all([
    db.selectFrom('registry_entries').selectAll().execute(),
    db.selectFrom('registry_users').selectAll().execute(),
    db.selectFrom('security_log').selectAll().execute(),
    db.selectFrom('audit_log').selectAll().execute(),
  ]);
}

/** What a failover brings back: the entry as it was. */
async function haunt(sub: string, entry: Partial<RegistryEntry> & { jti: string }): Promise<void> {
  const now = service.clock.now();
  await service.registry.register(sub, { keyId, iat: now, exp: now + 3600, ...entry }, { now });
}

async function jtis(sub: string): Promise<string[]> {
  return (await service.registry.list(sub, service.clock.now())).map(({ jti }) => jti);
}

async function noted(sub: string) {
  const row = await service.db.selectFrom('registry_users').selectAll().where('sub', '=', sub).execute();
  return row.map(({ status, version }) => `${status} ${version}`);
}

async function audited(): Promise<string[]> {
  const rows = await service.db.selectFrom('audit_log').selectAll().orderBy('seq').execute();
  return rows
    .filter(({ action }) => action === 'cache.reconcile')
    .map(({ target, outcome, reason }) => `${target} | ${outcome} | ${reason}`);
}

async function addKey(kid: string): Promise<number> {
  const options = { alg: 'RS256', bits: 2048, count: 1, maxTtlSeconds: POLICY.maxTtlSeconds } as const;
  await generateKeys(service.ports, { ...options, kid });
  return (await service.database.keys.find(kid))?.id ?? 0;
}

describe('entries that the security log covers', () => {
  test('a token that was revoked goes, and no other of its subject', async () => {
    const ghost = await service.issueTo('alice');
    const other = await service.issueTo('alice');
    await revokeToken(service.ports, POLICY, { sub: 'alice', jti: ghost.jti }, REASON);
    await haunt('alice', ghost);

    await mends({ subjects: 1, entries: 2, dropped: { ...NOTHING.dropped, revoked: 1 } });
    expect(await jtis('alice')).toEqual([other.jti]);
    expect(await service.verdict(other.token)).toBe('active');
    expect(await service.verdict(ghost.token)).toBe('ERR_TOKEN_REVOKED');
  });

  test('so do all of a subject that was revoked, but not what it was given since', async () => {
    const ghosts = [await service.issueTo('alice'), await service.issueTo('alice')];
    const bystander = await service.issueTo('Alice');
    await revokeSubject(service.ports, POLICY, { sub: 'alice' }, REASON);
    service.clock.advance(1);
    const since = await service.issueTo('alice');
    for (const ghost of ghosts) await haunt('alice', ghost);

    await mends({ entries: 4, dropped: { ...NOTHING.dropped, revoked: 2 } });
    expect(await service.verdict(since.token)).toBe('active');
    expect(await service.verdict(bystander.token)).toBe('active');
  });

  test.each(['under a key', 'of everybody'])(
    'so do those %s, but not what was issued since',
    async (what) => {
      const ghost = await service.issueTo('alice');
      const snapshot = await service.database.keys.snapshot();
      const key = what === 'under a key' ? { key: snapshot.keys[0] as (typeof snapshot.keys)[number] } : {};
      const { issuedBefore } = await countGlobal(service.ports, POLICY, key);
      await revokeGlobally(service.ports, POLICY, { ...key, issuedBefore }, REASON);
      service.clock.advance(1);
      const since = await service.issueTo('bob');
      await haunt('alice', ghost);

      await mends({ entries: 2, dropped: { ...NOTHING.dropped, revoked: 1 } });
      expect(await jtis('alice')).toEqual([]);
      expect(await service.verdict(since.token)).toBe('active');
    },
  );

  test('an entry of a removed user is not inherited by a later one of the name', async () => {
    const ghost = await service.issueTo('alice');
    await removeUser(service.ports, POLICY, { sub: 'alice', ...REASON });
    service.clock.advance(1);
    const heir = await service.issueTo('alice');
    await haunt('alice', ghost);

    await mends({ entries: 2, dropped: { ...NOTHING.dropped, revoked: 1 } });
    expect(await jtis('alice')).toEqual([heir.jti]);
    expect(await service.verdict(heir.token)).toBe('active');
  });
});

describe('entries under a key that verifies nothing any more', () => {
  test('go where it is retired, and where its row is gone', async () => {
    const living = await service.issueTo('alice');
    const retired = await addKey('retired');
    await addKey('next');
    const retire = { kid: 'retired', force: false, dryRun: false, clockToleranceSeconds: 0 };
    await retireKey(service.ports, retire);
    await haunt('alice', { jti: 'a', keyId: retired });
    await haunt('bob', { jti: 'b', keyId: retired });
    await mends({ dropped: { ...NOTHING.dropped, keyNotTrusted: 2 } });

    await purgeKeys(service.ports, await findPurgeable(service.ports), POLICY);
    await haunt('alice', { jti: 'a', keyId: retired });
    await haunt('alice', { jti: 'never', keyId: 9_999 });
    await mends({ dropped: { ...NOTHING.dropped, keyNotTrusted: 2 } });
    expect(await jtis('alice')).toEqual([living.jti]);
    expect(await service.verdict(living.token)).toBe('active');
  });

  test('go where it is compromised', async () => {
    const ghost = await service.issueTo('alice');
    const policy = { ...POLICY, publishLeadSeconds: 1 };
    await compromiseKey(service.ports, {
      ...{ kid: 'k1', reason: 'leaked', policy, alg: 'RS256', bits: 2048, dryRun: false },
    });
    await haunt('alice', ghost);
    await mends({ dropped: { ...NOTHING.dropped, keyNotTrusted: 1 } });
  });

  test('stay where it is pending: its tokens verify', async () => {
    await service.issueTo('alice');
    await haunt('alice', { jti: 'early', keyId: await addKey('next') });
    expect(await reconcile()).toMatchObject({ ...NOTHING, entries: 2 });
  });
});

describe('users', () => {
  test('one who is disabled and still noted as enabled is noted', async () => {
    const { token } = await service.issueTo('alice');
    const forgets = service.withRegistry({ setUserStatus: async () => null });
    await setUserStatus(forgets, POLICY, { sub: 'alice', status: 'disabled', ...REASON });
    expect(await noted('alice')).toEqual(['enabled 1']);

    await mends({ statusesCached: 1 });
    expect(await noted('alice')).toEqual(['disabled 2']);
    expect(await service.verdict(token)).toBe('ERR_USER_DISABLED');
    // Enabling them makes their tokens good again, so they are all there.
    await setUserStatus(service.ports, POLICY, { sub: 'alice', status: 'enabled', ...REASON });
    expect(await service.verdict(token)).toBe('active');
  });

  test('one who is enabled again and noted with an older version is noted', async () => {
    await service.issueTo('alice');
    await setUserStatus(service.ports, POLICY, { sub: 'alice', status: 'disabled', ...REASON });
    const forgets = service.withRegistry({ setUserStatus: async () => null });
    await setUserStatus(forgets, POLICY, { sub: 'alice', status: 'enabled', ...REASON });
    expect(await noted('alice')).toEqual(['disabled 2']);

    await mends({ statusesCached: 1 });
    expect(await noted('alice')).toEqual(['enabled 3']);
  });

  test('caches nothing if the cached status is right or there is none', async () => {
    await service.issueTo('alice');
    await haunt('bob', { jti: 'b' });
    await service.database.users.add({ sub: 'bob', name: null, at: service.clock.now() });
    service.clock.advance(600);

    expect(await reconcile()).toMatchObject({ ...NOTHING, entries: 2 });
    expect(await noted('alice')).toEqual(['enabled 1']);
    expect(await noted('bob')).toEqual([]);
  });

  test('a cached status with a version above that of the directory is overwritten', async () => {
    await service.issueTo('alice');
    const now = service.clock.now();
    const above = { status: 'disabled', version: Number.MAX_SAFE_INTEGER, until: now + 60 } as const;
    await service.registry.setUserStatus('alice', above, now);
    await mends({ statusesCached: 1 });
    expect(await noted('alice')).toEqual(['enabled 1']);
  });

  test('the entries of one who is gone go, unless the users are somebody else’s to keep', async () => {
    const living = await service.issueTo('alice');
    await haunt('nobody', { jti: 'a' });
    expect(await reconcile({ ownsUsers: false })).toMatchObject({ ...NOTHING, entries: 2 });
    await mends({ dropped: { ...NOTHING.dropped, userUnknown: 1 } });
    expect(await service.verdict(living.token)).toBe('active');
  });
});

test('where there is not one user, nobody loses a token for want of one', async () => {
  await service.issueTo('alice');
  await service.db.deleteFrom('users').execute();
  const before = await content();
  await expect(reconcile()).rejects.toMatchObject({ kind: 'state', code: 'ERR_USER_STORE_EMPTY' });
  expect(await content()).toEqual(before);
});

test('what has expired goes, and what was noted of a subject without entries', async () => {
  const living = await service.issueTo('alice');
  const now = service.clock.now();
  await haunt('alice', { jti: 'short', exp: now + 1 });
  await haunt('bob', { jti: 'short', exp: now + 1 });
  await service.database.users.add({ sub: 'bob', name: null, at: now });
  service.clock.advance(60);

  await mends({ subjects: 2, entries: 1, leftovers: 2 });
  expect(await service.db.selectFrom('registry_entries').select('jti').execute()).toEqual([
    { jti: living.jti },
  ]);
});

describe('beside an issuer', () => {
  test('tokens of a user and under a key that are made in the middle of it stay', async () => {
    await service.issueTo('alice');
    const { scan } = service.registry;
    let late: Awaited<ReturnType<EmbeddedService['issueTo']>> | undefined;
    const registry = service.withRegistry({
      scan: async (take, options) => {
        await scan.call(service.registry, take, options);
        // Registered before the portion is read that they are in, and long after the walk began.
        const pending = await addKey('late');
        await haunt('carol', { jti: 'under-a-late-key', keyId: pending });
        late = await service.issueTo('bob');
        await service.database.users.add({ sub: 'carol', name: null, at: service.clock.now() });
        return scan.call(service.registry, take, options);
      },
    });
    expect(await reconcile({}, registry)).toMatchObject(NOTHING);
    expect(await service.verdict(late?.token ?? '')).toBe('active');
    expect(await jtis('carol')).toEqual(['under-a-late-key']);
  });

  test('what is registered after a portion was read stays, though all that was read of its subject goes', async () => {
    const ghost = await service.issueTo('alice');
    await revokeToken(service.ports, POLICY, { sub: 'alice', jti: ghost.jti }, REASON);
    await haunt('alice', ghost);
    let late: Awaited<ReturnType<EmbeddedService['issueTo']>> | undefined;
    const { findMany } = service.database.users;
    const users = {
      find: () => Promise.reject(new Error('one at a time')),
      list: () => service.database.users.list(),
      findMany: async (subs: readonly string[]) => {
        late = await service.issueTo('alice');
        return findMany.call(service.database.users, subs);
      },
    };
    const report = await reconcile({}, { ...service.ports, users } as never);
    expect(report).toMatchObject({ ...NOTHING, dropped: { ...NOTHING.dropped, revoked: 1 } });
    expect(await jtis('alice')).toEqual([late?.jti]);
    expect(await service.verdict(late?.token ?? '')).toBe('active');
  });

  test('an entry that another run removes in the same moment is counted there', async () => {
    const ghost = await service.issueTo('alice');
    await revokeToken(service.ports, POLICY, { sub: 'alice', jti: ghost.jti }, REASON);
    await haunt('alice', ghost);
    const { removeEntries } = service.registry;
    let other: ReconciliationReport | undefined;
    const registry = service.withRegistry({
      removeEntries: async (...words) => {
        other = await reconcile();
        return removeEntries.apply(service.registry, words);
      },
    });
    expect(await reconcile({}, registry)).toMatchObject(NOTHING);
    expect(other?.dropped.revoked).toBe(1);
  });
});

describe('a subject in parts', () => {
  test('is judged as a whole, and of its events those of each part are read with it', async () => {
    const now = service.clock.now();
    await service.database.users.add({ sub: 'alice', name: null, at: now });
    for (const [index, jti] of ['a', 'b', 'c', 'd'].entries()) {
      await haunt('alice', { jti, exp: now + 100 * (4 - index) });
    }
    await revokeToken(service.ports, POLICY, { sub: 'alice', jti: 'c' }, REASON);
    await haunt('alice', { jti: 'c' });
    const { scan } = service.registry;
    const registry = service.withRegistry({
      scan: (take, options) => scan.call(service.registry, inParts(take), options),
    });
    const calls: Call[] = [];
    const database = { ...service.database, securityLog: spying(service.database.securityLog, calls) };
    const report = await reconcile({}, { ...registry, database } as never);
    expect(report).toMatchObject({
      ...NOTHING,
      ...{ subjects: 1, entries: 4, dropped: { ...NOTHING.dropped, revoked: 1 } },
    });
    const asked = calls.filter(({ method }) => method === 'findNaming');
    expect(asked.map(({ words }) => words[0])).toEqual(
      ['a', 'b', 'c', 'd'].map((jti) => [{ sub: 'alice', jti }]),
    );
    expect(await jtis('alice')).toEqual(['a', 'b', 'd']);
  });

  test('loses what is revoked of thousands of tokens while they are read', async () => {
    const now = service.clock.now();
    await service.database.users.add({ sub: 'alice', name: null, at: now });
    const names = Array.from({ length: 2_500 }, (_, index) => `j${index}`);
    const rows = names.map((jti) => ({
      sub: 'alice',
      jti,
      key_id: keyId,
      iat: now,
      exp: now + 600,
      label: null,
    }));
    await service.db.insertInto('registry_entries').values(rows).execute();
    const revoked = names.filter((_, index) => index % 2 === 0);
    const event = {
      type: 'token_revoked',
      sub: 'alice',
      reason: null,
      at: now,
      expiresAt: now + 900,
    } as const;
    for (const jti of revoked) await service.database.securityLog.append({ ...event, jti });

    await mends({ subjects: 1, entries: 2_500, dropped: { ...NOTHING.dropped, revoked: 1_250 } });
    expect((await jtis('alice')).sort()).toEqual(names.filter((jti) => !revoked.includes(jti)).sort());
  });

  function inParts(take: Parameters<TokenRegistry['scan']>[0]): typeof take {
    return async (subjects) => {
      for (const { entries, details, ...subject } of subjects) {
        for (const [index, entry] of entries.entries()) {
          const part: ScannedSubject = {
            ...{ ...subject, entries: [entry], isLast: index === entries.length - 1 },
            details: index === 0 ? details : null,
          };
          await take([part]);
        }
      }
    };
  }
});

test('however many subjects there are, a portion of them is asked about once', async () => {
  for (let index = 0; index < 50; index++) await service.issueTo(`user-${index}`);
  const calls: Call[] = [];
  const { keys, securityLog, users } = service.database;
  const database = {
    ...service.database,
    keys: spying(keys, calls),
    securityLog: spying(securityLog, calls),
  };
  const ports = { ...service.ports, database, users: spying(users, calls) };
  expect(await reconcile({}, ports as never)).toMatchObject({ ...NOTHING, subjects: 50 });
  const reads = calls.map(({ method }) => method);
  expect(reads.sort()).toEqual(['findGlobal', 'findMany', 'findNaming', 'snapshot']);
});

interface Call {
  method: string;
  words: unknown[];
}

/** The real store, with a note of each call. */
function spying<T extends object>(target: T, calls: Call[]): T {
  return new Proxy(target, {
    get: (_, method) => {
      const member: unknown = Reflect.get(target, method, target);
      if (typeof member !== 'function') return member;
      return (...words: unknown[]) => {
        calls.push({ method: String(method), words });
        return member.apply(target, words);
      };
    },
  });
}

describe('what it cannot do', () => {
  async function plantGhosts(...subs: string[]): Promise<void> {
    for (const sub of subs) {
      const ghost = await service.issueTo(sub);
      await revokeToken(service.ports, POLICY, { sub, jti: ghost.jti }, REASON);
      await haunt(sub, ghost);
    }
  }

  test('is told where the registry takes no changes, and the rest is done', async () => {
    await plantGhosts('alice', 'bob');
    const { scan, removeEntries } = service.registry;
    const oneByOne: TokenRegistry['scan'] = (take, options) =>
      scan.call(
        service.registry,
        async (all) => void (await Promise.all(all.map((one) => take([one])))),
        options,
      );
    const registry = service.withRegistry({
      scan: oneByOne,
      removeEntries: (subjects, now) =>
        subjects.some(({ sub }) => sub === 'alice')
          ? away()
          : removeEntries.call(service.registry, subjects, now),
    });
    expect(await reconcile({}, registry)).toMatchObject({
      ...{ complete: false, missed: [expect.stringMatching(/^changes to a subject.*\(Redis is away\.\)$/)] },
      dropped: { revoked: 1 },
    });
    expect([await jtis('alice'), await jtis('bob')]).toMatchObject([[expect.any(String)], []]);
    expect((await audited()).at(-1)).toMatch(/partial/);
    await mends({ dropped: { ...NOTHING.dropped, revoked: 1 } });
  });

  test('leaves what was counted before it failed, and says that there may be more', async () => {
    await plantGhosts('alice', 'bob');
    const registry = service.withRegistry({
      removeEntries: async (subjects, now) => ({
        ...(await service.registry.removeEntries(subjects, now)),
        failure: new JwtctlError('ERR_REDIS_UNREACHABLE', 'Redis is away.'),
      }),
    });
    expect(await reconcile({}, registry)).toMatchObject({
      ...{ complete: false, dropped: { revoked: 2 } },
      missed: [expect.stringMatching(/^changes to .* more may have been made than was counted/)],
    });
  });

  test('is no excuse for a defect', async () => {
    await plantGhosts('alice');
    const defect = new TypeError('a defect');
    const registry = service.withRegistry({ removeEntries: () => Promise.reject(defect) });
    await expect(reconcile({}, registry)).rejects.toBe(defect);
  });

  test('is told where a part of the registry could not be seen', async () => {
    const { scan } = service.registry;
    const registry = service.withRegistry({
      scan: async (take, options) => {
        const outcome = await scan.call(service.registry, take, options);
        return { ...outcome, complete: false, missed: ['slots 0-5 (n: timed out)'] };
      },
    });
    expect(await reconcile({}, registry)).toMatchObject({
      ...{ complete: false, missed: ['slots 0-5 (n: timed out)'] },
    });
    expect(await audited()).toEqual([]);
  });

  test('is left where it is interrupted, and what was done is told', async () => {
    await plantGhosts('alice');
    const signal = AbortSignal.abort();
    expect(await reconcile({ signal })).toMatchObject({ complete: false, subjects: 0 });
  });

  test('is an error where a store is away as a whole', async () => {
    await plantGhosts('alice');
    await expect(reconcile({}, service.withRegistry({ scan: away }))).rejects.toMatchObject({
      kind: 'unavailable',
    });
    const users = { ...service.database.users, findMany: away };
    await expect(reconcile({}, { ...service.ports, users } as never)).rejects.toMatchObject({
      kind: 'unavailable',
    });
    expect(await audited()).toEqual([]);
  });

  test('is refused beside a key store without a key, for it belongs to another registry', async () => {
    await service.issueTo('alice');
    await service.db.deleteFrom('keystore').execute();
    for (const dryRun of [true, false]) {
      await expect(reconcile({ dryRun })).rejects.toMatchObject({
        ...{ kind: 'state', code: 'ERR_KEY_STORE_EMPTY' },
      });
    }
    expect(await jtis('alice')).toHaveLength(1);
    await service.db.deleteFrom('registry_entries').execute();
    expect(await reconcile()).toMatchObject(NOTHING);
  });
});

describe('the audit log', () => {
  test('has no row of a run that found all well, nor of one that only looked', async () => {
    await service.issueTo('alice');
    await reconcile();
    await haunt('nobody', { jti: 'a' });
    await reconcile({ dryRun: true });
    expect(await audited()).toEqual([]);
  });

  test('has one before the first change and one with what was changed', async () => {
    await service.database.users.add({ sub: 'alice', name: null, at: service.clock.now() });
    await haunt('nobody', { jti: 'a' });
    const registry = service.withRegistry({
      removeEntries: async (...words) => {
        expect(await audited()).toEqual(['all under  | begun | null']);
        return service.registry.removeEntries(...words);
      },
    });
    await reconcile({}, registry);
    expect(await audited()).toEqual([
      'all under  | begun | null',
      'all under  | done | entries dropped: 1, statuses noted: 0, expiries set: 0, leftovers: 0',
    ]);
  });
});
