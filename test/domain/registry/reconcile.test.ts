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
import { registerOne } from '../../support/registering.js';

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

const unreachable = () => Promise.reject(new JwtctlError('ERR_REDIS_UNREACHABLE', 'Redis is down.'));

function reconcile(
  input: Partial<ReconciliationInput> = {},
  ports: Administration & { users?: UserDirectory } = service.ports,
): Promise<ReconciliationReport> {
  return reconcileRegistry(
    { users: service.database.users, ...ports },
    { ...POLICY, ownsUsers: true, dryRun: false, ...input },
  );
}

/** Expects only these changes from a dry run and from a real run, and none from another run. */
async function expectCorrected(
  expected: Partial<ReconciliationReport>,
  input: Partial<ReconciliationInput> = {},
) {
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

/** Registers an entry without checks, as a failover may restore a removed one. */
async function plant(sub: string, entry: Partial<RegistryEntry> & { jti: string }): Promise<void> {
  const now = service.clock.now();
  await registerOne(service.registry, sub, { keyId, iat: now, exp: now + 3600, ...entry }, { now });
}

async function jtis(sub: string): Promise<string[]> {
  return (await service.registry.list(sub, service.clock.now())).map(({ jti }) => jti);
}

async function cachedStatus(sub: string) {
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

describe('revoked entries', () => {
  test('drops a revoked token, but not the subject’s other tokens', async () => {
    const revoked = await service.issueTo('alice');
    const other = await service.issueTo('alice');
    await revokeToken(service.ports, POLICY, { sub: 'alice', jti: revoked.jti }, REASON);
    await plant('alice', revoked);

    await expectCorrected({ subjects: 1, entries: 2, dropped: { ...NOTHING.dropped, revoked: 1 } });
    expect(await jtis('alice')).toEqual([other.jti]);
    expect(await service.verdict(other.token)).toBe('active');
    expect(await service.verdict(revoked.token)).toBe('ERR_TOKEN_REVOKED');
  });

  test('drops all tokens of a revoked subject, except later ones', async () => {
    const revokedTokens = [await service.issueTo('alice'), await service.issueTo('alice')];
    const other = await service.issueTo('Alice');
    await revokeSubject(service.ports, POLICY, { sub: 'alice' }, REASON);
    service.clock.advance(1);
    const since = await service.issueTo('alice');
    for (const revoked of revokedTokens) await plant('alice', revoked);

    await expectCorrected({ entries: 4, dropped: { ...NOTHING.dropped, revoked: 2 } });
    expect(await service.verdict(since.token)).toBe('active');
    expect(await service.verdict(other.token)).toBe('active');
  });

  test.each(['under a key', 'of every subject'])(
    'drops revoked tokens %s, except later ones',
    async (what) => {
      const revoked = await service.issueTo('alice');
      const snapshot = await service.database.keys.snapshot();
      const key = what === 'under a key' ? { key: snapshot.keys[0] as (typeof snapshot.keys)[number] } : {};
      const { issuedBefore } = await countGlobal(service.ports, POLICY, key);
      await revokeGlobally(service.ports, POLICY, { ...key, issuedBefore }, REASON);
      service.clock.advance(1);
      const since = await service.issueTo('bob');
      await plant('alice', revoked);

      await expectCorrected({ entries: 2, dropped: { ...NOTHING.dropped, revoked: 1 } });
      expect(await jtis('alice')).toEqual([]);
      expect(await service.verdict(since.token)).toBe('active');
    },
  );

  test('drops an entry of a removed user whose name was added again', async () => {
    const revoked = await service.issueTo('alice');
    await removeUser(service.ports, POLICY, { sub: 'alice', ...REASON });
    service.clock.advance(1);
    const later = await service.issueTo('alice');
    await plant('alice', revoked);

    await expectCorrected({ entries: 2, dropped: { ...NOTHING.dropped, revoked: 1 } });
    expect(await jtis('alice')).toEqual([later.jti]);
    expect(await service.verdict(later.token)).toBe('active');
  });
});

describe('entries of a key', () => {
  test('are dropped if it is retired or has no row', async () => {
    const live = await service.issueTo('alice');
    const retired = await addKey('retired');
    await addKey('next');
    const retire = { kid: 'retired', force: false, dryRun: false, clockToleranceSeconds: 0 };
    await retireKey(service.ports, retire);
    await plant('alice', { jti: 'a', keyId: retired });
    await plant('bob', { jti: 'b', keyId: retired });
    await expectCorrected({ dropped: { ...NOTHING.dropped, keyNotTrusted: 2 } });

    await purgeKeys(service.ports, await findPurgeable(service.ports), POLICY);
    await plant('alice', { jti: 'a', keyId: retired });
    await plant('alice', { jti: 'never', keyId: 9_999 });
    await expectCorrected({ dropped: { ...NOTHING.dropped, keyNotTrusted: 2 } });
    expect(await jtis('alice')).toEqual([live.jti]);
    expect(await service.verdict(live.token)).toBe('active');
  });

  test('are dropped if it is compromised', async () => {
    const revoked = await service.issueTo('alice');
    const policy = { ...POLICY, publishLeadSeconds: 1 };
    await compromiseKey(service.ports, {
      ...{ kid: 'k1', reason: 'leaked', policy, alg: 'RS256', bits: 2048, dryRun: false },
    });
    await plant('alice', revoked);
    await expectCorrected({ dropped: { ...NOTHING.dropped, keyNotTrusted: 1 } });
  });

  test('stay if it is pending, because its tokens verify', async () => {
    await service.issueTo('alice');
    await plant('alice', { jti: 'early', keyId: await addKey('next') });
    expect(await reconcile()).toMatchObject({ ...NOTHING, entries: 2 });
  });
});

describe('users', () => {
  test('caches the status of a disabled user cached as enabled', async () => {
    const { token } = await service.issueTo('alice');
    const forgets = service.withRegistry({ setUserStatus: async () => null });
    await setUserStatus(forgets, POLICY, { sub: 'alice', status: 'disabled', ...REASON });
    expect(await cachedStatus('alice')).toEqual(['enabled 1']);

    await expectCorrected({ statusesCached: 1 });
    expect(await cachedStatus('alice')).toEqual(['disabled 2']);
    expect(await service.verdict(token)).toBe('ERR_USER_DISABLED');
    // No entry was dropped, so enabling the user makes the tokens valid again.
    await setUserStatus(service.ports, POLICY, { sub: 'alice', status: 'enabled', ...REASON });
    expect(await service.verdict(token)).toBe('active');
  });

  test('caches the status of an enabled user cached with an older version', async () => {
    await service.issueTo('alice');
    await setUserStatus(service.ports, POLICY, { sub: 'alice', status: 'disabled', ...REASON });
    const forgets = service.withRegistry({ setUserStatus: async () => null });
    await setUserStatus(forgets, POLICY, { sub: 'alice', status: 'enabled', ...REASON });
    expect(await cachedStatus('alice')).toEqual(['disabled 2']);

    await expectCorrected({ statusesCached: 1 });
    expect(await cachedStatus('alice')).toEqual(['enabled 3']);
  });

  test('caches nothing if the cached status is right or there is none', async () => {
    await service.issueTo('alice');
    await plant('bob', { jti: 'b' });
    await service.database.users.add({ sub: 'bob', name: null, at: service.clock.now() });
    service.clock.advance(600);

    expect(await reconcile()).toMatchObject({ ...NOTHING, entries: 2 });
    expect(await cachedStatus('alice')).toEqual(['enabled 1']);
    expect(await cachedStatus('bob')).toEqual([]);
  });

  test('overwrites a cached version above that of the directory', async () => {
    await service.issueTo('alice');
    const now = service.clock.now();
    const above = { status: 'disabled', version: Number.MAX_SAFE_INTEGER, until: now + 60 } as const;
    await service.registry.setUserStatus('alice', above, now);
    await expectCorrected({ statusesCached: 1 });
    expect(await cachedStatus('alice')).toEqual(['enabled 1']);
  });

  test('drops entries of an unknown user only if jwtctl manages the users', async () => {
    const live = await service.issueTo('alice');
    await plant('unknown', { jti: 'a' });
    expect(await reconcile({ ownsUsers: false })).toMatchObject({ ...NOTHING, entries: 2 });
    await expectCorrected({ dropped: { ...NOTHING.dropped, userUnknown: 1 } });
    expect(await service.verdict(live.token)).toBe('active');
  });
});

test('fails and drops nothing if there are no users', async () => {
  await service.issueTo('alice');
  await service.db.deleteFrom('users').execute();
  const before = await content();
  await expect(reconcile()).rejects.toMatchObject({ kind: 'state', code: 'ERR_USER_STORE_EMPTY' });
  expect(await content()).toEqual(before);
});

test('removes expired entries, and the cached status of a subject without entries', async () => {
  const live = await service.issueTo('alice');
  const now = service.clock.now();
  await plant('alice', { jti: 'short', exp: now + 1 });
  await plant('bob', { jti: 'short', exp: now + 1 });
  await service.database.users.add({ sub: 'bob', name: null, at: now });
  service.clock.advance(60);

  await expectCorrected({ subjects: 2, entries: 1, leftovers: 2 });
  expect(await service.db.selectFrom('registry_entries').select('jti').execute()).toEqual([
    { jti: live.jti },
  ]);
});

describe('while tokens are issued', () => {
  test('keeps tokens of a user and a key created during the run', async () => {
    await service.issueTo('alice');
    const { scan } = service.registry;
    let late: Awaited<ReturnType<EmbeddedService['issueTo']>> | undefined;
    const registry = service.withRegistry({
      scan: async (onSubjects, options) => {
        await scan.call(service.registry, onSubjects, options);
        // Registered after the scan began, but before their portion is read.
        const pending = await addKey('late');
        await plant('carol', { jti: 'under-a-late-key', keyId: pending });
        late = await service.issueTo('bob');
        await service.database.users.add({ sub: 'carol', name: null, at: service.clock.now() });
        return scan.call(service.registry, onSubjects, options);
      },
    });
    expect(await reconcile({}, registry)).toMatchObject(NOTHING);
    expect(await service.verdict(late?.token ?? '')).toBe('active');
    expect(await jtis('carol')).toEqual(['under-a-late-key']);
  });

  test('keeps a token registered after its subject was read and dropped', async () => {
    const revoked = await service.issueTo('alice');
    await revokeToken(service.ports, POLICY, { sub: 'alice', jti: revoked.jti }, REASON);
    await plant('alice', revoked);
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

  test('does not count an entry that a concurrent run removed', async () => {
    const revoked = await service.issueTo('alice');
    await revokeToken(service.ports, POLICY, { sub: 'alice', jti: revoked.jti }, REASON);
    await plant('alice', revoked);
    const { removeEntries } = service.registry;
    let other: ReconciliationReport | undefined;
    const registry = service.withRegistry({
      removeEntries: async (...args) => {
        other = await reconcile();
        return removeEntries.apply(service.registry, args);
      },
    });
    expect(await reconcile({}, registry)).toMatchObject(NOTHING);
    expect(other?.dropped.revoked).toBe(1);
  });
});

describe('a subject in parts', () => {
  test('is judged as a whole, and the events of each part are read with it', async () => {
    const now = service.clock.now();
    await service.database.users.add({ sub: 'alice', name: null, at: now });
    for (const [index, jti] of ['a', 'b', 'c', 'd'].entries()) {
      await plant('alice', { jti, exp: now + 100 * (4 - index) });
    }
    await revokeToken(service.ports, POLICY, { sub: 'alice', jti: 'c' }, REASON);
    await plant('alice', { jti: 'c' });
    const { scan } = service.registry;
    const registry = service.withRegistry({
      scan: (onSubjects, options) => scan.call(service.registry, inParts(onSubjects), options),
    });
    const calls: Call[] = [];
    const database = { ...service.database, securityLog: recording(service.database.securityLog, calls) };
    const report = await reconcile({}, { ...registry, database } as never);
    expect(report).toMatchObject({
      ...NOTHING,
      ...{ subjects: 1, entries: 4, dropped: { ...NOTHING.dropped, revoked: 1 } },
    });
    const asked = calls.filter(({ method }) => method === 'findNaming');
    expect(asked.map(({ args }) => args[0])).toEqual(
      ['a', 'b', 'c', 'd'].map((jti) => [{ sub: 'alice', jti }]),
    );
    expect(await jtis('alice')).toEqual(['a', 'b', 'd']);
  });

  test('loses 1,250 revoked of 2,500 tokens', async () => {
    const now = service.clock.now();
    await service.database.users.add({ sub: 'alice', name: null, at: now });
    const names = Array.from({ length: 2_500 }, (_, index) => `j${index}`);
    const rows = names.map((jti) => ({
      sub: 'alice',
      jti,
      key_id: keyId,
      iat: now,
      exp: now + 600,
      meta: null,
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

    await expectCorrected({ subjects: 1, entries: 2_500, dropped: { ...NOTHING.dropped, revoked: 1_250 } });
    expect((await jtis('alice')).sort()).toEqual(names.filter((jti) => !revoked.includes(jti)).sort());
  });

  function inParts(onSubjects: Parameters<TokenRegistry['scan']>[0]): typeof onSubjects {
    return async (subjects) => {
      for (const { entries, details, ...subject } of subjects) {
        for (const [index, entry] of entries.entries()) {
          const part: ScannedSubject = {
            ...{ ...subject, entries: [entry], isLast: index === entries.length - 1 },
            details: index === 0 ? details : null,
          };
          await onSubjects([part]);
        }
      }
    };
  }
});

test('asks each store once for a portion of many subjects', async () => {
  for (let index = 0; index < 50; index++) await service.issueTo(`user-${index}`);
  const calls: Call[] = [];
  const { keys, securityLog, users } = service.database;
  const database = {
    ...service.database,
    keys: recording(keys, calls),
    securityLog: recording(securityLog, calls),
  };
  const ports = { ...service.ports, database, users: recording(users, calls) };
  expect(await reconcile({}, ports as never)).toMatchObject({ ...NOTHING, subjects: 50 });
  const reads = calls.map(({ method }) => method);
  expect(reads.sort()).toEqual(['findGlobal', 'findMany', 'findNaming', 'snapshot']);
});

interface Call {
  method: string;
  args: unknown[];
}

/** Records each call of the real store. */
function recording<T extends object>(target: T, calls: Call[]): T {
  return new Proxy(target, {
    get: (_, method) => {
      const member: unknown = Reflect.get(target, method, target);
      if (typeof member !== 'function') return member;
      return (...args: unknown[]) => {
        calls.push({ method: String(method), args });
        return member.apply(target, args);
      };
    },
  });
}

describe('a failed reconciliation', () => {
  async function plantRevoked(...subs: string[]): Promise<void> {
    for (const sub of subs) {
      const revoked = await service.issueTo(sub);
      await revokeToken(service.ports, POLICY, { sub, jti: revoked.jti }, REASON);
      await plant(sub, revoked);
    }
  }

  test('reports a subject that cannot be changed, and corrects the rest', async () => {
    await plantRevoked('alice', 'bob');
    const { scan, removeEntries } = service.registry;
    const oneByOne: TokenRegistry['scan'] = (onSubjects, options) =>
      scan.call(
        service.registry,
        async (all) => void (await Promise.all(all.map((one) => onSubjects([one])))),
        options,
      );
    const registry = service.withRegistry({
      scan: oneByOne,
      removeEntries: (subjects, now) =>
        subjects.some(({ sub }) => sub === 'alice')
          ? unreachable()
          : removeEntries.call(service.registry, subjects, now),
    });
    expect(await reconcile({}, registry)).toMatchObject({
      ...{
        complete: false,
        missed: [expect.stringMatching(/^changes to a subject \(.*Redis is down\.\)$/)],
      },
      dropped: { revoked: 1 },
    });
    expect([await jtis('alice'), await jtis('bob')]).toMatchObject([[expect.any(String)], []]);
    expect((await audited()).at(-1)).toMatch(/partial/);
    await expectCorrected({ dropped: { ...NOTHING.dropped, revoked: 1 } });
  });

  test('reports that more changes may have been made than were counted', async () => {
    await plantRevoked('alice', 'bob');
    const registry = service.withRegistry({
      removeEntries: async (subjects, now) => ({
        ...(await service.registry.removeEntries(subjects, now)),
        failure: new JwtctlError('ERR_REDIS_UNREACHABLE', 'Redis is down.'),
      }),
    });
    expect(await reconcile({}, registry)).toMatchObject({
      ...{ complete: false, dropped: { revoked: 2 } },
      missed: [expect.stringMatching(/^changes to .*more may have been made than were counted/)],
    });
  });

  test('rejects on a defect', async () => {
    await plantRevoked('alice');
    const defect = new TypeError('a defect');
    const registry = service.withRegistry({ removeEntries: () => Promise.reject(defect) });
    await expect(reconcile({}, registry)).rejects.toBe(defect);
  });

  test('reports a part of the registry that could not be read', async () => {
    const { scan } = service.registry;
    const registry = service.withRegistry({
      scan: async (onSubjects, options) => {
        const outcome = await scan.call(service.registry, onSubjects, options);
        return { ...outcome, complete: false, missed: ['slots 0-5 (n: timed out)'] };
      },
    });
    expect(await reconcile({}, registry)).toMatchObject({
      ...{ complete: false, missed: ['slots 0-5 (n: timed out)'] },
    });
    expect(await audited()).toEqual([]);
  });

  test('is incomplete after an interruption', async () => {
    await plantRevoked('alice');
    const signal = AbortSignal.abort();
    expect(await reconcile({ signal })).toMatchObject({ complete: false, subjects: 0 });
  });

  test('rejects if a store is down', async () => {
    await plantRevoked('alice');
    await expect(reconcile({}, service.withRegistry({ scan: unreachable }))).rejects.toMatchObject({
      kind: 'unavailable',
    });
    const users = { ...service.database.users, findMany: unreachable };
    await expect(reconcile({}, { ...service.ports, users } as never)).rejects.toMatchObject({
      kind: 'unavailable',
    });
    expect(await audited()).toEqual([]);
  });

  test('rejects if the key store is empty, because it belongs to another registry', async () => {
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
  test('has no row for a run without changes or a dry run', async () => {
    await service.issueTo('alice');
    await reconcile();
    await plant('unknown', { jti: 'a' });
    await reconcile({ dryRun: true });
    expect(await audited()).toEqual([]);
  });

  test('has a row before the first change and a row with the counts', async () => {
    await service.database.users.add({ sub: 'alice', name: null, at: service.clock.now() });
    await plant('unknown', { jti: 'a' });
    const registry = service.withRegistry({
      removeEntries: async (...args) => {
        expect(await audited()).toEqual(['all under  | begun | null']);
        return service.registry.removeEntries(...args);
      },
    });
    await reconcile({}, registry);
    expect(await audited()).toEqual([
      'all under  | begun | null',
      'all under  | done | entries dropped: 1, statuses cached: 0, expiries set: 0, leftovers: 0',
    ]);
  });
});
