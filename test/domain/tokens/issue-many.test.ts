import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { sqlDatabase } from '../../../src/adapters/sql/stores/database.js';
import { decodeToken } from '../../../src/domain/jose/jws.js';
import { compromiseKey } from '../../../src/domain/keys/compromise.js';
import { generateKeys } from '../../../src/domain/keys/generate.js';
import type { Database, NewSecurityEvent, TokenRegistry } from '../../../src/domain/ports/index.js';
import { JwtctlError } from '../../../src/domain/shared/errors.js';
import type { IssuedToken } from '../../../src/domain/tokens/issued-token.js';
import type { TokenRequest } from '../../../src/domain/tokens/token-request.js';
import { removeUser, setUserStatus } from '../../../src/domain/users/manage.js';
import { type EmbeddedService, openEmbeddedService, POLICY } from '../../support/embedded-service.js';

const NO_REASON = { reason: null, dryRun: false };

let service: EmbeddedService;

beforeEach(async () => {
  service = await openEmbeddedService();
  const users = ['alice', 'bob', 'carol', 'dave'].map((sub) => ({ sub, name: null }));
  await service.database.users.addMany(users, service.clock.now());
});
afterEach(() => service.close());

function requests(...subs: string[]): TokenRequest[] {
  return subs.map((sub) => ({ sub }));
}

/** Returns the code of each error, and the subject of each token. */
function results(outcomes: ReadonlyArray<IssuedToken | JwtctlError>): string[] {
  return outcomes.map((outcome) => (outcome instanceof JwtctlError ? outcome.code : outcome.sub));
}

function tokens(outcomes: ReadonlyArray<IssuedToken | JwtctlError>): IssuedToken[] {
  return outcomes.filter((outcome) => !(outcome instanceof JwtctlError)) as IssuedToken[];
}

async function append(event: Omit<NewSecurityEvent, 'reason' | 'at' | 'expiresAt'>): Promise<void> {
  const at = service.clock.now();
  await service.database.securityLog.append({ ...event, reason: null, at, expiresAt: at + 99_999 });
}

async function entries(): Promise<string[]> {
  const found: string[] = [];
  for (const sub of ['alice', 'bob', 'carol', 'dave']) {
    for (const { jti } of await service.registry.list(sub, service.clock.now())) found.push(`${sub} ${jti}`);
  }
  return found.sort();
}

describe('a batch', () => {
  test('returns tokens in the order of the requests', async () => {
    const now = service.clock.now();
    const outcomes = await service.bulkIssuer().issueMany([
      {
        sub: 'bob',
        aud: ['user', 'api'],
        ttlSeconds: 600,
        claims: { role: 'admin' },
        meta: { device: 'phone' },
      },
      ...requests('alice', 'bob'),
      { sub: 'carol', notBeforeSeconds: 100 },
    ]);
    const [first, second, third, last] = tokens(outcomes);
    expect(first).toEqual({
      token: expect.any(String),
      jti: expect.stringMatching(/^[A-Za-z0-9][A-Za-z0-9_-]{21}$/),
      ...{ kid: 'k1', sub: 'bob', aud: ['user', 'api'], iat: now, exp: now + 600 },
    });
    expect(decodeToken(first?.token ?? '')).toMatchObject({
      header: { alg: 'RS256', typ: 'JWT', kid: 'k1' },
      payload: { iss: 'jwtctl', sub: 'bob', role: 'admin', iat: now, exp: now + 600, jti: first?.jti },
    });
    expect(second).toMatchObject({ sub: 'alice', aud: 'user', exp: now + 3600 });
    expect(third).toMatchObject({ sub: 'bob' });
    expect(
      await Promise.all([first, second, third].map((issued) => service.verdict(issued?.token ?? ''))),
    ).toEqual(['active', 'active', 'active']);
    expect(await service.verdict(last?.token ?? '')).toBe('ERR_TOKEN_NOT_YET_VALID');
    const listed = await service.registry.list('bob', now);
    expect(new Map(listed.map(({ jti, meta }) => [jti, meta]))).toEqual(
      new Map([
        [first?.jti, { device: 'phone' }],
        [third?.jti, null],
      ]),
    );
  });

  test('of 700 tokens has different jtis, and all are valid', async () => {
    const many = Array.from({ length: 700 }, (_, index) => ['alice', 'bob', 'carol'][index % 3] as string);
    const issued = tokens(await service.bulkIssuer().issueMany(requests(...many)));
    expect(issued.map(({ sub }) => sub)).toEqual(many);
    expect(new Set(issued.map(({ jti }) => jti)).size).toBe(700);
    expect(await entries()).toHaveLength(700);
    for (const { token } of issued.slice(0, 20)) expect(await service.verdict(token)).toBe('active');
  });

  test('returns an error for each invalid request, and issues the others', async () => {
    await setUserStatus(service.ports, POLICY, { sub: 'carol', status: 'disabled', ...NO_REASON });
    service.clock.advance(1);
    const outcomes = await service
      .bulkIssuer()
      .issueMany([
        ...requests('alice', 'zoe', 'carol', '', 'a\u0000b', 'x'.repeat(256)),
        { sub: 'alice', ttlSeconds: POLICY.maxTtlSeconds + 1 },
        { sub: 'alice', claims: { sub: 'root' } },
        { sub: 'alice', meta: { device: 'a\nb' } },
        { sub: 'alice', claims: { text: 'x'.repeat(20_000) } },
        ...requests('bob'),
      ]);
    expect(results(outcomes)).toEqual([
      ...['alice', 'ERR_USER_UNKNOWN', 'ERR_USER_DISABLED'],
      ...['ERR_SUBJECT_INVALID', 'ERR_SUBJECT_INVALID', 'ERR_SUBJECT_INVALID'],
      ...['ERR_TTL_TOO_LONG', 'ERR_CLAIM_RESERVED', 'ERR_META_INVALID', 'ERR_TOKEN_TOO_LONG', 'bob'],
    ]);
    expect(await entries()).toHaveLength(2);
  });

  test('signs nothing if it is empty or every request is invalid', async () => {
    expect(results(await service.bulkIssuer().issueMany(requests('zoe')))).toEqual(['ERR_USER_UNKNOWN']);
    expect(await service.bulkIssuer().issueMany([])).toEqual([]);
  });

  test('uses a constant number of queries', async () => {
    let queries = 0;
    const database = sqlDatabase(
      service.db.withPlugin({
        transformQuery: ({ node }) => node,
        transformResult: async ({ result }) => {
          queries += 1;
          return result;
        },
      }),
    );
    const issuer = service.bulkIssuer({ database, users: database.users });
    await issuer.open();
    queries = 0;
    const subs = Array.from({ length: 200 }, (_, index) => (index % 2 === 0 ? 'alice' : 'bob'));
    expect(results(await issuer.issueMany(requests(...subs)))).toEqual(subs);
    // The events of the subjects, the global events, the users, and the global events again.
    expect(queries).toBe(4);

    queries = 0;
    await issuer.issue({ sub: 'alice' });
    // The events of the subject and the global events come in one query. Four statements write the audit row.
    expect(queries).toBe(3 + 4);
  });

  test('evicts the oldest tokens of a subject', async () => {
    const issuer = service.bulkIssuer({ policy: { maxPerSubject: 2 } });
    const older = tokens(await issuer.issueMany(requests('alice', 'bob')));
    service.clock.advance(1);
    const newer = tokens(await issuer.issueMany(requests('alice', 'alice')));
    const verdicts = await Promise.all([...older, ...newer].map(({ token }) => service.verdict(token)));
    expect(verdicts).toEqual(['ERR_TOKEN_NOT_REGISTERED', 'active', 'active', 'active']);
  });

  test('returns an error for a token that cannot be registered', async () => {
    const foreign = new JwtctlError('ERR_REDIS_WRONG_TYPE', 'It holds something else.');
    const { registry } = service.withRegistry({
      registerMany: async (registrations) => {
        await service.registry.registerMany(registrations.filter(({ sub }) => sub !== 'bob'));
        return registrations.map(({ sub }) => (sub === 'bob' ? foreign : 'added'));
      },
    });
    const outcomes = await service.bulkIssuer({ registry }).issueMany(requests('alice', 'bob', 'carol'));
    expect(results(outcomes)).toEqual(['alice', 'ERR_REDIS_WRONG_TYPE', 'carol']);
  });

  test('leaves no entry if the security log fails before tokens are returned', async () => {
    const failure = new JwtctlError('ERR_MYSQL_UNREACHABLE', 'The database is down.');
    const failingAt = (failing: number): Database => {
      let calls = 0;
      const { securityLog } = service.database;
      const findGlobal = async () => {
        if (++calls === failing) throw failure;
        return securityLog.findGlobal();
      };
      const failingLog = new Proxy(securityLog, {
        get: (target, name) => {
          const member: unknown = name === 'findGlobal' ? findGlobal : Reflect.get(target, name);
          return typeof member === 'function' ? member.bind(target) : member;
        },
      });
      return { ...service.database, securityLog: failingLog };
    };
    const issuer = service.bulkIssuer({ database: failingAt(2) });
    await expect(issuer.issueMany(requests('alice', 'bob'))).rejects.toBe(failure);
    expect(await entries()).toEqual([]);
  });

  test('returns no tokens if the registry fails', async () => {
    const failure = new JwtctlError('ERR_REDIS_UNREACHABLE', 'The registry is down.');
    const { registry } = service.withRegistry({ registerMany: () => Promise.reject(failure) });
    await expect(service.bulkIssuer({ registry }).issueMany(requests('alice'))).rejects.toBe(failure);
  });

  test('is registered once more if the answer was lost, but not after other errors', async () => {
    const lost = new JwtctlError('ERR_REDIS_UNREACHABLE', 'Redis did not answer.');
    let calls = 0;
    const failing = (failure: Error) =>
      service.withRegistry({
        registerMany: async (registrations) => {
          const errors = await service.registry.registerMany(registrations);
          if (++calls === 1) throw failure;
          return errors;
        },
      }).registry;
    const issuer = service.bulkIssuer({ registry: failing(lost) });
    const issued = tokens(await issuer.issueMany(requests('alice', 'bob', 'alice')));
    expect([issued.length, calls]).toEqual([3, 2]);
    expect(await entries()).toEqual(issued.map(({ sub, jti }) => `${sub} ${jti}`).sort());

    calls = 0;
    const full = new JwtctlError('ERR_REDIS_WRONG_TYPE', 'Wrong type.');
    await expect(service.bulkIssuer({ registry: failing(full) }).issueMany(requests('alice'))).rejects.toBe(
      full,
    );
    expect(calls).toBe(1);

    // With a limit, the entry is only looked up, because registering again could evict a newer one.
    calls = 0;
    const capped = service.bulkIssuer({ registry: failing(lost), policy: { maxPerSubject: 2 } });
    const [token] = tokens(await capped.issueMany(requests('alice')));
    expect([calls, await service.verdict(String(token?.token))]).toEqual([1, 'active']);
  });
});

describe('unknown users', () => {
  test('are added with createUsers, and existing users stay unchanged', async () => {
    const outcomes = await service
      .bulkIssuer({ createUsers: true })
      .issueMany(requests('erin', 'alice', 'erin', ''));
    expect(results(outcomes)).toEqual(['erin', 'alice', 'erin', 'ERR_SUBJECT_INVALID']);
    expect(await service.database.users.find('erin')).toMatchObject({ status: 'enabled', version: 1 });
  });

  test('fail a plan without createUsers', async () => {
    expect(await service.bulkIssuer().planMany(requests('erin', 'alice'))).toMatchObject([
      { code: 'ERR_USER_UNKNOWN' },
      { kid: 'k1', payload: { sub: 'alice' } },
    ]);
    const plan = await service
      .bulkIssuer({ createUsers: true })
      .planMany([...requests('erin'), { sub: 'alice', aud: [] }]);
    expect(plan).toMatchObject([{ kid: 'k1', payload: { sub: 'erin' } }, { code: 'ERR_AUDIENCE_INVALID' }]);
    expect(await service.database.users.find('erin')).toBeNull();
    expect(await entries()).toEqual([]);
  });
});

describe('after a revocation', () => {
  test('of one subject in this second, the batch waits for the next second', async () => {
    const now = service.clock.now();
    await append({ type: 'subject_revoked', sub: 'bob', issuedBefore: now });
    const issuing = service.bulkIssuer().issueMany(requests('alice', 'bob'));
    expect(await service.clock.awaited()).toEqual([now + 1]);
    service.clock.advance(1);
    const issued = tokens(await issuing);
    expect(issued.map(({ iat }) => iat)).toEqual([now + 1, now + 1]);
    for (const { token } of issued) expect(await service.verdict(token)).toBe('active');
  });

  test.each([
    { name: 'of the key', event: { type: 'kid_revoked', kid: 'k1' } },
    { name: 'of all', event: { type: 'all_revoked' } },
  ] as const)('$name in this second, the batch waits too', async ({ event }) => {
    const now = service.clock.now();
    await append({ ...event, issuedBefore: now + 2 });
    await append({ type: 'subject_revoked', sub: 'alice', issuedBefore: now + 1 });
    const issuing = service.bulkIssuer().issueMany(requests('alice', 'bob'));
    expect(await service.clock.awaited()).toEqual([now + 3]);
    service.clock.advance(3);
    for (const { token } of tokens(await issuing)) expect(await service.verdict(token)).toBe('active');
  });

  test('of another subject, another key, or a single token, the batch does not wait', async () => {
    const now = service.clock.now();
    await append({ type: 'subject_revoked', sub: 'bob', issuedBefore: now });
    await append({ type: 'kid_revoked', kid: 'k2', issuedBefore: now });
    await append({ type: 'token_revoked', sub: 'alice', jti: 'a' });
    expect(tokens(await service.bulkIssuer().issueMany(requests('alice')))[0]?.iat).toBe(now);
  });

  test('far in the future for one subject, only its token fails', async () => {
    const now = service.clock.now();
    await append({ type: 'subject_revoked', sub: 'bob', issuedBefore: now + 11 });
    const outcomes = await service.bulkIssuer().issueMany(requests('alice', 'bob', 'carol'));
    expect(results(outcomes)).toEqual(['alice', 'ERR_REVOCATION_IN_FUTURE', 'carol']);
    expect(tokens(outcomes)[0]?.iat).toBe(now);
  });

  test('during the wait, the batch waits again', async () => {
    const now = service.clock.now();
    await append({ type: 'subject_revoked', sub: 'alice', issuedBefore: now });
    const issuing = service.bulkIssuer().issueMany(requests('alice'));
    await service.clock.awaited();
    await append({ type: 'all_revoked', issuedBefore: now + 1 });
    service.clock.advance(1);
    expect(await service.clock.awaited()).toEqual([now + 2]);
    service.clock.advance(1);
    const [issued] = tokens(await issuing);
    expect(await service.verdict(issued?.token ?? '')).toBe('active');
  });
});

describe('a key that is compromised while a batch is issued', () => {
  function compromise() {
    return compromiseKey(service.ports, {
      ...{ kid: 'k1', alg: 'RS256', bits: 2048, reason: 'leaked', dryRun: false },
      policy: { ...POLICY, publishLeadSeconds: 0 },
    });
  }

  /** Compromises the key once, right after the entries are registered. */
  function compromisingRegistry(removals: string[][] = []): TokenRegistry {
    let isDone = false;
    return service.withRegistry({
      remove: () => Promise.reject(new Error('One by one.')),
      removeEntries: (subjects, now) => {
        removals.push(subjects.map(({ sub }) => sub));
        return service.registry.removeEntries(subjects, now);
      },
      registerMany: async (registrations) => {
        const errors = await service.registry.registerMany(registrations);
        if (!isDone) {
          isDone = true;
          await append({ type: 'key_compromised', kid: 'k1' });
          const { revision } = await service.database.keys.snapshot();
          const at = service.clock.now();
          await service.database.keys.apply(revision, [
            { kid: 'k1', from: 'active', to: 'compromised', at },
            { kid: 'k2', from: 'pending', to: 'active', at, maxTtlSeconds: 86_400 },
          ]);
        }
        return errors;
      },
    }).registry;
  }

  beforeEach(async () => {
    await generateKeys(service.ports, {
      kid: 'k2',
      alg: 'RS256',
      bits: 2048,
      count: 1,
      maxTtlSeconds: 86_400,
    });
  });

  test('does not sign returned tokens: the batch is issued again under the next key', async () => {
    const removals: string[][] = [];
    const issuer = service.bulkIssuer({ registry: compromisingRegistry(removals) });
    const outcomes = await issuer.issueMany(requests('alice', 'zoe', 'bob'));
    expect(removals).toEqual([['alice', 'bob']]);
    expect(results(outcomes)).toEqual(['alice', 'ERR_USER_UNKNOWN', 'bob']);
    const issued = tokens(outcomes);
    expect(issued.map(({ kid }) => kid)).toEqual(['k2', 'k2']);
    for (const { token } of issued) expect(await service.verdict(token)).toBe('active');
    expect(await entries()).toEqual(issued.map(({ sub, jti }) => `${sub} ${jti}`).sort());
  });

  test('is dropped by an issuer that kept it', async () => {
    const issuer = service.bulkIssuer();
    expect(tokens(await issuer.issueMany(requests('alice')))[0]?.kid).toBe('k1');
    await compromise();
    expect(tokens(await issuer.issueMany(requests('alice')))[0]?.kid).toBe('k2');
  });

  test('without a successor ends the batch, and leaves nothing registered', async () => {
    const { revision } = await service.database.keys.snapshot();
    const at = service.clock.now();
    await service.database.keys.apply(revision, [{ kid: 'k2', from: 'pending', to: 'retired', at }]);
    const { registry } = service.withRegistry({
      registerMany: async (registrations) => {
        const errors = await service.registry.registerMany(registrations);
        await append({ type: 'key_compromised', kid: 'k1' });
        const snapshot = await service.database.keys.snapshot();
        await service.database.keys.apply(snapshot.revision, [
          { kid: 'k1', from: 'active', to: 'compromised', at },
        ]);
        return errors;
      },
    });
    await expect(service.bulkIssuer({ registry }).issueMany(requests('alice'))).rejects.toMatchObject({
      code: 'ERR_NO_ACTIVE_KEY',
    });
    expect(await entries()).toEqual([]);
  });
});

test('a new user with the same sub gets no token that was issued during the removal', async () => {
  const { users } = service.database;
  const removedMeanwhile = {
    find: (sub: string) => users.find(sub),
    list: () => users.list(),
    findMany: async (subs: readonly string[]) => {
      const found = await users.findMany(subs);
      await removeUser(service.ports, POLICY, { sub: 'alice', ...NO_REASON });
      return found;
    },
  };
  const issuer = service.bulkIssuer({ users: removedMeanwhile });
  const [issued] = tokens(await issuer.issueMany(requests('alice')));
  await users.add({ sub: 'alice', name: null, at: service.clock.now() });
  expect(await service.verdict(issued?.token ?? '')).toBe('ERR_TOKEN_REVOKED');
});

test('open fails if there is no active key', async () => {
  const { revision } = await service.database.keys.snapshot();
  const at = service.clock.now();
  await service.database.keys.apply(revision, [{ kid: 'k1', from: 'active', to: 'compromised', at }]);
  await expect(service.bulkIssuer().open()).rejects.toMatchObject({
    kind: 'state',
    code: 'ERR_NO_ACTIVE_KEY',
  });
});
