import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { compromiseKey } from '../../../src/domain/keys/compromise.js';
import { newRandomId } from '../../../src/domain/model/random-id.js';
import type { TokenRegistry } from '../../../src/domain/ports/index.js';
import { flush } from '../../../src/domain/registry/flush.js';
import { listFamilies } from '../../../src/domain/registry/list-families.js';
import { listTokens } from '../../../src/domain/registry/list-tokens.js';
import { JwtctlError } from '../../../src/domain/shared/errors.js';
import { Issuer } from '../../../src/domain/tokens/issue.js';
import type { IssuedToken } from '../../../src/domain/tokens/issued-token.js';
import { revokeGlobally, revokeSubject, revokeToken } from '../../../src/domain/tokens/revoke.js';
import type { TokenRequest } from '../../../src/domain/tokens/token-request.js';
import type { RefreshTokenUse } from '../../../src/domain/tokens/use-refresh-token.js';
import { addUser, removeUser, setUserStatus } from '../../../src/domain/users/manage.js';
import { originOf, readRowsAt } from '../../../src/domain/verification/event-origin.js';
import {
  type EmbeddedService,
  openEmbeddedService,
  POLICY,
  SIGNING,
} from '../../support/embedded-service.js';

const { refreshGraceSeconds, refreshTtlSeconds } = POLICY;

let service: EmbeddedService;
let issuer: Issuer;

beforeEach(async () => {
  service = await openEmbeddedService();
  await service.database.users.add({ sub: 'alice', name: null, at: service.clock.now() });
  issuer = service.issuer();
  service.clock.advance(10);
});
afterEach(() => service.close());

type Session = IssuedToken & { refreshToken: string; refreshExp: number };

async function logIn(request: Partial<TokenRequest> = {}): Promise<Session> {
  return (await issuer.issue({ sub: 'alice', refresh: true, ...request })) as Session;
}

async function refresh({ refreshToken }: Session, use: Partial<RefreshTokenUse> = {}): Promise<Session> {
  return (await issuer.refresh({ refreshToken, ...use })) as Session;
}

/** Returns the code of the error, or `refreshed`. */
async function outcomeOf(session: Session, by: Issuer = issuer): Promise<string> {
  return by.refresh(session).then(
    () => 'refreshed',
    ({ code }) => code,
  );
}

function issuerOver(overrides: Partial<TokenRegistry>): Issuer {
  const { ports, database } = service;
  const { registry } = service.withRegistry(overrides);
  return new Issuer({ ...ports, registry, users: database.users, ...SIGNING }, POLICY);
}

/** The database fails when it reads the events for the second time, after the tokens were registered. */
function issuerWhoseDatabaseFails(): Issuer {
  const { ports, database } = service;
  const { securityLog } = database;
  let reads = 0;
  const findNaming: typeof securityLog.findNaming = async (tokens) => {
    reads += 1;
    if (reads === 2) throw new JwtctlError('ERR_MYSQL_UNREACHABLE', 'The database is away.');
    return securityLog.findNaming(tokens);
  };
  const failing = { ...database, securityLog: { ...securityLog, findNaming } };
  return new Issuer({ ...ports, users: database.users, ...SIGNING, database: failing }, POLICY);
}

/** The database, and how many transactions it ran. */
function countingTransactions() {
  let count = 0;
  const { database } = service;
  const transaction: typeof database.transaction = (work) => {
    count += 1;
    return database.transaction(work);
  };
  return { database: { ...database, transaction }, transactions: () => count };
}

function claimsOf({ token }: IssuedToken): Record<string, unknown> {
  return JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString());
}

async function auditRows() {
  const rows = [];
  for await (const { action, target, outcome } of service.database.auditLog.rows()) {
    if (action.startsWith('token.')) rows.push({ action, target, outcome });
  }
  return rows;
}

test('a session issues one access token after another', async () => {
  const first = await logIn();
  const [family] = first.jti.split('.');
  expect(first).toMatchObject({ jti: `${family}.0`, refreshExp: first.iat + refreshTtlSeconds });
  service.clock.advance(3_000);
  const second = await refresh(first);
  service.clock.advance(3_000);
  const third = await refresh(second);

  expect([second.jti, third.jti]).toEqual([`${family}.1`, `${family}.2`]);
  expect(third).toMatchObject({ iat: service.clock.now(), refreshExp: third.iat + refreshTtlSeconds });
  expect(new Set([first, second, third].map(({ refreshToken }) => refreshToken)).size).toBe(3);
  expect([await service.verdict(second.token), await service.verdict(third.token)]).toEqual([
    'active',
    'active',
  ]);
  expect(await service.verdict(first.token)).toBe('ERR_TOKEN_EXPIRED');
});

test('without the request for a session there is no refresh token', async () => {
  const issued = await issuer.issue({ sub: 'alice' });
  expect(issued).not.toHaveProperty('refreshToken');
  expect(issued.jti).not.toContain('.');
});

test('each access token has what was requested for the first one', async () => {
  const request = {
    aud: ['api', 'web'],
    ttlSeconds: 60,
    claims: { role: 'admin', n: [1, null] },
    meta: { device: 'phone' },
  };
  const first = await logIn(request);
  service.clock.advance(30);
  const second = await refresh(await refresh(first));
  const { iat } = second;
  expect(claimsOf(second)).toEqual({
    ...{ ...request.claims, iss: 'jwtctl', sub: 'alice', aud: ['api', 'web'] },
    ...{ iat, exp: iat + 60, jti: second.jti },
  });
  expect(await listTokens(service.registry, 'alice', service.clock.now())).toMatchObject([
    { meta: { device: 'phone' }, refreshExp: null },
    { meta: { device: 'phone' }, refreshExp: null },
    { jti: second.jti, meta: { device: 'phone' }, refreshExp: second.refreshExp },
  ]);
});

test('a lifetime beyond a lowered limit is shortened', async () => {
  const first = await logIn({ ttlSeconds: 5_000 });
  const second = await service.issuer({ maxTtlSeconds: 4_000 }).refresh(first);
  expect(second.exp - second.iat).toBe(4_000);
});

test('a token that is valid later cannot begin a session', async () => {
  await expect(logIn({ notBeforeSeconds: 5 })).rejects.toMatchObject({ code: 'ERR_NOT_BEFORE_INVALID' });
});

test('the start of a session leaves an audit row, and a refresh leaves none', async () => {
  const first = await logIn();
  await refresh(first);
  expect(await auditRows()).toEqual([
    { action: 'token.issue', target: `alice ${first.jti}`, outcome: 'done' },
  ]);
});

test('64 concurrent uses of a refresh token return the same tokens', async () => {
  const first = await logIn();
  const all = await Promise.all(Array.from({ length: 64 }, () => refresh(first)));
  expect(new Set(all.map((one) => JSON.stringify(one))).size).toBe(1);
  const together = await issuer.refreshMany(Array.from({ length: 64 }, () => first));
  expect(new Set([all[0], ...together].map((one) => JSON.stringify(one))).size).toBe(1);
  expect(await service.registry.list('alice', service.clock.now())).toHaveLength(2);
});

test('a use within the grace returns the same tokens, and both refresh tokens stay usable', async () => {
  const first = await logIn();
  const second = await refresh(first);
  service.clock.advance(refreshGraceSeconds);
  expect(await refresh(first)).toEqual(second);
  service.clock.advance(1);
  expect((await refresh(second)).jti).toBe(first.jti.replace('.0', '.2'));
});

test('a use after the grace ends the session and all of its tokens', async () => {
  const first = await logIn();
  const second = await refresh(first);
  const other = await logIn();
  service.clock.advance(refreshGraceSeconds + 1);
  expect(await outcomeOf(first)).toBe('ERR_REFRESH_REUSED');

  expect(await service.registry.list('alice', service.clock.now())).toHaveLength(1);
  const verdicts = [first, second, other].map(({ token }) => service.verdict(token));
  expect(await Promise.all(verdicts)).toEqual(['ERR_TOKEN_REVOKED', 'ERR_TOKEN_REVOKED', 'active']);
  expect([await outcomeOf(first), await outcomeOf(second), await outcomeOf(other)]).toEqual([
    ...['ERR_REFRESH_REVOKED', 'ERR_REFRESH_REVOKED', 'refreshed'],
  ]);
  const family = first.jti.replace('.0', '');
  expect((await auditRows()).at(-1)).toEqual({
    ...{ action: 'token.refresh', target: `alice ${family}`, outcome: 'reused' },
  });
});

test('a use of an older refresh token ends the session, even within the grace', async () => {
  const first = await logIn();
  const second = await refresh(first);
  const third = await refresh(second);
  expect(await outcomeOf(first)).toBe('ERR_REFRESH_REUSED');
  expect([await outcomeOf(third), await service.verdict(third.token)]).toEqual([
    ...['ERR_REFRESH_REVOKED', 'ERR_TOKEN_REVOKED'],
  ]);
});

test('a session whose end the registry lost stays ended', async () => {
  const first = await logIn();
  const second = await refresh(first);
  service.clock.advance(refreshGraceSeconds + 1);
  const losing = issuerOver({ remove: async () => ({ removed: 0, families: 0, replicasConfirmed: null }) });
  expect(await outcomeOf(first, losing)).toBe('ERR_REFRESH_REUSED');
  expect(await listFamilies(service.registry, 'alice', service.clock.now())).toHaveLength(1);
  expect([await outcomeOf(second), await service.verdict(second.token)]).toEqual([
    ...['ERR_REFRESH_REVOKED', 'ERR_TOKEN_REVOKED'],
  ]);
});

test.each([
  ['in the future', 60],
  ['before the last token', -11],
])('a replay gets no token if the registry has an iat %s', async (_, seconds) => {
  const first = await logIn();
  await refresh(first);
  const iat = service.clock.now() + seconds;
  await service.db.updateTable('registry_families').set({ iat }).execute();
  expect(await outcomeOf(first)).toBe('ERR_REFRESH_INVALID');
});

test('a session whose first reply was lost is the one that its refresh token names', async () => {
  let lost = 0;
  const losing = issuerOver({
    advanceFamilies: async (steps) => {
      const outcomes = await service.registry.advanceFamilies(steps);
      if (lost++ > 0) return outcomes;
      return steps.map(() => new JwtctlError('ERR_REDIS_UNREACHABLE', 'The reply was lost.'));
    },
  });
  const first = (await losing.issue({ sub: 'alice', refresh: true })) as Session;
  expect(await outcomeOf(first)).toBe('refreshed');
  expect(await listFamilies(service.registry, 'alice', service.clock.now())).toHaveLength(1);
});

test('a forged token with a counter below 0 starts no session', async () => {
  const { refreshToken } = await logIn();
  const { refreshTokens } = service.ports;
  const contents = JSON.parse(String(await refreshTokens.open(refreshToken)));
  const forged = await refreshTokens.seal(
    JSON.stringify({ ...contents, family: 'x'.repeat(22), counter: -1 }),
  );
  await expect(issuer.refresh({ refreshToken: forged })).rejects.toMatchObject({
    code: 'ERR_REFRESH_INVALID',
  });
});

test('a session goes on if the registry lost its last refresh', async () => {
  const first = await logIn();
  const second = await refresh(first);
  await service.db.updateTable('registry_families').set({ counter: 0, iat: first.iat }).execute();
  const third = await refresh(second);
  expect([third.jti, await service.verdict(third.token)]).toEqual([first.jti.replace('.0', '.2'), 'active']);
  expect(await outcomeOf(third)).toBe('refreshed');
});

test('a refresh token expires if it is not used', async () => {
  const first = await logIn();
  service.clock.advance(refreshTtlSeconds - 1);
  const second = await refresh(first);
  service.clock.advance(refreshTtlSeconds);
  expect(await outcomeOf(second)).toBe('ERR_REFRESH_EXPIRED');
});

test('a shorter refresh.ttl applies to tokens that were issued before', async () => {
  const first = await logIn();
  service.clock.advance(100);
  expect(await outcomeOf(first, service.issuer({ refreshTtlSeconds: 100 }))).toBe('ERR_REFRESH_EXPIRED');
});

test('a session ends at refresh.maxAge with its access tokens, however often it is refreshed', async () => {
  const limited = service.issuer({ refreshMaxAgeSeconds: 6_000 });
  const first = (await limited.issue({ sub: 'alice', refresh: true })) as Session;
  const end = first.iat + 6_000;
  expect(first).toMatchObject({ exp: first.iat + 3_600, refreshExp: end });
  service.clock.advance(3_000);
  const second = (await limited.refresh(first)) as Session;
  expect(second).toMatchObject({ exp: end, refreshExp: end });
  expect(await listTokens(service.registry, 'alice', second.iat)).toMatchObject([{}, { refreshExp: end }]);
  service.clock.advance(2_999);
  expect(await service.verdict(second.token)).toBe('active');
  const last = (await limited.refresh(second)) as Session;
  expect(last.exp).toBe(end);
  service.clock.advance(1);
  expect(await outcomeOf(last, limited)).toBe('ERR_REFRESH_EXPIRED');
});

test('a session can be refreshed although its place is taken, if registry.onLimit refuses tokens', async () => {
  const limited = service.issuer({ maxPerSubject: 1, onLimit: 'refuse' });
  const first = (await limited.issue({ sub: 'alice', refresh: true })) as Session;
  service.clock.advance(first.exp - first.iat + 60);
  const other = await limited.issue({ sub: 'alice' });
  const second = (await limited.refresh(first)) as Session;
  expect(await service.verdict(second.token)).toBe('active');
  expect(await service.verdict(other.token)).toBe('active');
  await expect(limited.issue({ sub: 'alice' })).rejects.toMatchObject({ code: 'ERR_TOKEN_LIMIT' });
});

test('refresh.maxAge applies to sessions that began before', async () => {
  const first = await logIn();
  service.clock.advance(100);
  expect(await outcomeOf(first, service.issuer({ refreshMaxAgeSeconds: 100 }))).toBe('ERR_REFRESH_EXPIRED');
});

test('an event of a host with a shorter refresh.ttl outlives the refresh tokens of all hosts', async () => {
  const patient = service.issuer({ refreshTtlSeconds: 90 * 86_400 });
  const first = (await patient.issue({ sub: 'alice', refresh: true })) as Session;
  service.clock.advance(60);
  await revokeSubject(
    service.withRegistry({ remove: async () => ({ removed: 0, families: 0, replicasConfirmed: null }) }),
    { ...POLICY, refreshTtlSeconds: 86_400 },
    { sub: 'alice' },
    { reason: null, dryRun: false },
  );
  service.clock.advance(89 * 86_400);
  const [event] = await service.database.securityLog.findNaming([{ sub: 'alice', jti: null }]);
  expect(event?.expiresAt).toBeGreaterThan(first.refreshExp);
  expect(await outcomeOf(first, patient)).toBe('ERR_REFRESH_REVOKED');
});

test('refuses what is not a refresh token of this installation', async () => {
  const { token, refreshToken } = await logIn();
  const other = await openEmbeddedService();
  await other.database.users.add({ sub: 'alice', name: null, at: other.clock.now() });
  const foreign = await other.issuer().issue({ sub: 'alice', refresh: true });
  await other.close();
  const texts = [
    '',
    token,
    `${refreshToken}A`,
    refreshToken.slice(0, -2),
    'A'.repeat(100_000),
    foreign.refreshToken,
  ];
  for (const text of texts) {
    await expect(issuer.refresh({ refreshToken: String(text) })).rejects.toMatchObject({
      ...{ code: 'ERR_REFRESH_INVALID', kind: 'refused' },
    });
  }
});

test('only the client that a refresh token was issued to may use it', async () => {
  const first = await logIn({ clientId: 'shop' });
  for (const clientId of [undefined, 'other'])
    await expect(refresh(first, { clientId })).rejects.toMatchObject({ code: 'ERR_REFRESH_INVALID' });
  const second = await refresh(first, { clientId: 'shop' });
  await expect(refresh(second)).rejects.toMatchObject({ code: 'ERR_REFRESH_INVALID' });
});

test('a session that began without a client belongs to the client that first refreshes it as at+jwt (RFC 9068 §2.2)', async () => {
  const first = await logIn();
  const typed = service.issuer({ type: 'at+jwt' });
  // Without a client, there is no client_id for the token.
  expect(await outcomeOf(first, typed)).toBe('ERR_CLIENT_ID_INVALID');
  const second = (await typed.refresh({ ...first, clientId: 'shop' })) as Session;
  expect(claimsOf(second)).toMatchObject({ client_id: 'shop' });
  await expect(typed.refresh({ ...second, clientId: 'bank' })).rejects.toMatchObject({
    code: 'ERR_REFRESH_INVALID',
  });
  const third = (await typed.refresh({ ...second, clientId: 'shop' })) as Session;
  expect(claimsOf(third)).toMatchObject({ client_id: 'shop' });
});

describe('a session ends, even if the registry loses that', () => {
  const options = { reason: null, dryRun: false };
  const revokedBefore = () => service.clock.now();
  const setStatus = (status: 'enabled' | 'disabled') =>
    setUserStatus(ports(), POLICY, { sub: 'alice', status, reason: null, dryRun: false });
  const keyOf = async ({ kid }: Session) => (await service.database.keys.find(kid)) ?? undefined;

  /** The registry loses what is removed. */
  function ports() {
    return service.withRegistry({
      remove: async () => ({ removed: 0, families: 0, replicasConfirmed: null }),
      removeEverywhere: async () => NOTHING,
    });
  }

  const NOTHING = {
    ...{ matched: 0, removed: 0, subjects: 0, largestIat: null, byNode: [], byKeyId: [] },
    ...{ replicasConfirmed: null, complete: true, missed: [] },
  };

  test.each<{ what: string; end(last: Session, first: Session): Promise<unknown> }>([
    {
      what: 'its last access token is revoked',
      end: ({ jti }) => revokeToken(ports(), POLICY, { sub: 'alice', jti }, options),
    },
    {
      what: 'an earlier access token is revoked',
      end: (_, { jti }) => revokeToken(ports(), POLICY, { sub: 'alice', jti }, options),
    },
    {
      what: "the subject's tokens are revoked",
      end: () => revokeSubject(ports(), POLICY, { sub: 'alice' }, options),
    },
    {
      what: 'tokens of the subject until its start are revoked',
      end: (_, { iat }) => revokeSubject(ports(), POLICY, { sub: 'alice', issuedBefore: iat }, options),
    },
    {
      what: 'all tokens are revoked',
      end: () => revokeGlobally(ports(), POLICY, { issuedBefore: revokedBefore() }, options),
    },
    {
      what: 'the tokens of its key are revoked',
      end: async (last) =>
        revokeGlobally(ports(), POLICY, { key: await keyOf(last), issuedBefore: revokedBefore() }, options),
    },
    {
      what: 'its key is compromised',
      end: ({ kid }) =>
        compromiseKey(
          { ...ports(), openRegistry: async () => ports().registry },
          {
            kid,
            reason: 'leaked',
            policy: { ...POLICY, publishLeadSeconds: 0 },
            alg: 'RS256',
            bits: 2048,
            dryRun: false,
          },
        ),
    },
    {
      what: 'its user is disabled and enabled again',
      end: async () => {
        await setStatus('disabled');
        await setStatus('enabled');
      },
    },
    {
      what: 'its user is removed and added again',
      end: async () => {
        await removeUser(ports(), POLICY, { sub: 'alice', reason: null, dryRun: false });
        await addUser(ports(), { sub: 'alice', name: null, dryRun: false });
      },
    },
  ])('because $what', async ({ end }) => {
    const first = await logIn();
    service.clock.advance(60);
    const last = await refresh(first);
    service.clock.advance(60);
    await end(last, first);
    expect(await listFamilies(service.registry, 'alice', service.clock.now())).toHaveLength(1);
    service.clock.advance(60);
    expect(await outcomeOf(last)).toBe('ERR_REFRESH_REVOKED');
    service.clock.advance(refreshTtlSeconds - 600);
    await service.database.securityLog.clearExpired(1_000);
    expect(await outcomeOf(last)).toBe('ERR_REFRESH_REVOKED');
    expect(await outcomeOf(await logIn())).toBe('refreshed');
  });

  test('with its entries, because the subject is flushed', async () => {
    const first = await logIn();
    await flush(service.ports, { sub: 'alice', filter: {}, target: 'alice' });
    expect([await outcomeOf(first), await service.verdict(first.token)]).toEqual([
      ...['ERR_REFRESH_INVALID', 'ERR_TOKEN_NOT_REGISTERED'],
    ]);
  });
});

test('a revocation of tokens until a time ends the later access token of a session that began by then', async () => {
  const first = await logIn();
  service.clock.advance(60);
  const second = await refresh(first);
  const later = await logIn();
  const revoke = (dryRun: boolean) =>
    revokeSubject(service.ports, POLICY, { sub: 'alice', issuedBefore: first.iat }, { reason: null, dryRun });
  expect(await revoke(true)).toMatchObject({ revoked: 2 });
  expect(await revoke(false)).toMatchObject({ revoked: 2, sessions: 1 });
  // A failover may bring the entry back.
  const { jti, iat, exp } = second;
  const [{ keyId = 0 } = {}] = await service.registry.list('alice', iat);
  await service.registry.registerMany([{ sub: 'alice', entry: { jti, keyId, iat, exp }, now: iat }]);
  expect([await service.verdict(second.token), await service.verdict(later.token)]).toEqual([
    ...['ERR_TOKEN_REVOKED', 'active'],
  ]);
});

test('a revocation of tokens until a time ends a session that is refreshed while it lists the sessions', async () => {
  const first = await logIn();
  service.clock.advance(60);
  let outcome: string | undefined;
  const during = service.withRegistry({
    familyPages: async function* (...args) {
      yield* service.registry.familyPages(...args);
      outcome = await outcomeOf(first);
    },
  });
  const selection = { sub: 'alice', issuedBefore: first.iat };
  await revokeSubject(during, POLICY, selection, { reason: null, dryRun: false });
  expect(outcome).toBe('ERR_REFRESH_REVOKED');
});

test('the end of a session by a revocation of tokens until a time leads to its audit row, however long it took', async () => {
  const first = await logIn();
  service.clock.advance(60);
  const second = await refresh(first);
  const slow = service.withRegistry({
    familyPages: async function* (...args) {
      yield* service.registry.familyPages(...args);
      service.clock.advance(5);
    },
  });
  await revokeSubject(
    slow,
    POLICY,
    { sub: 'alice', issuedBefore: first.iat },
    { reason: null, dryRun: false },
  );
  const { securityLog, auditLog } = service.ports.database;
  const event = (await securityLog.findNaming([{ sub: 'alice', jti: second.jti }])).find(
    ({ type }) => type === 'family_revoked',
  );
  const rows = await readRowsAt(auditLog, [event?.at]);
  expect(event && originOf(event, rows)).toMatchObject({ action: 'token.revoke', target: 'alice' });
});

test('a revocation of tokens until a time names at most 500 sessions in one transaction, and removes all at once', async () => {
  const now = service.clock.now();
  const { ports } = service;
  const counted = countingTransactions();
  const state = { counter: 1, keyId: 1, iat: now, startedAt: now - 60, exp: now + 60, meta: null };
  const sessions = Array.from({ length: 1_001 }, () => ({ ...state, family: newRandomId() }));
  let removals = 0;
  const { registry } = service.withRegistry({
    familyPages: async function* () {
      yield sessions;
    },
    remove: async () => {
      removals += 1;
      return { removed: 0, families: 0, replicasConfirmed: null };
    },
  });
  const selection = { sub: 'alice', issuedBefore: now - 30 };
  await revokeSubject({ ...ports, database: counted.database, registry }, POLICY, selection, {
    reason: null,
    dryRun: false,
  });
  const [first, last] = [sessions[0], sessions[1_000]].map((one) => ({
    sub: 'alice',
    jti: one?.family ?? '',
  }));
  const events = await ports.database.securityLog.findNaming(
    [first, last].filter((one) => one !== undefined),
  );
  expect(events.filter(({ type }) => type === 'family_revoked')).toHaveLength(2);
  expect([counted.transactions(), removals]).toEqual([4, 2]);
});

test('a user whom another table disables is refused meanwhile', async () => {
  // A user table of another program has no versions, and no events tell of its changes.
  let status: 'enabled' | 'disabled' = 'enabled';
  const user = { sub: 'alice', name: null, version: 0, createdAt: null, updatedAt: null };
  const table = {
    ...service.database.users,
    findMany: async () => new Map([['alice', { ...user, status }]]),
  };
  const foreign = service.issuer({}, table);
  const first = (await foreign.issue({ sub: 'alice', refresh: true })) as Session;
  status = 'disabled';
  expect(await outcomeOf(first, foreign)).toBe('ERR_USER_DISABLED');
  status = 'enabled';
  expect(await outcomeOf(first, foreign)).toBe('refreshed');
});

test('a user who is missing from another table at a refresh comes back without the session', async () => {
  let isThere = true;
  const user = {
    sub: 'alice',
    name: null,
    status: 'enabled',
    version: 0,
    createdAt: null,
    updatedAt: null,
  } as const;
  const table = {
    ...service.database.users,
    findMany: async () => new Map(isThere ? [['alice', user]] : []),
  };
  const foreign = service.issuer({}, table);
  const [first, other] = [
    await foreign.issue({ sub: 'alice', refresh: true }),
    await foreign.issue({ sub: 'alice' }),
  ];
  service.clock.advance(5);
  isThere = false;
  for (let times = 0; times < 3; times++)
    expect(await outcomeOf(first as Session, foreign)).toBe(
      times === 0 ? 'ERR_USER_UNKNOWN' : 'ERR_REFRESH_REVOKED',
    );
  isThere = true;
  expect(await outcomeOf(first as Session, foreign)).toBe('ERR_REFRESH_REVOKED');
  expect(await service.verdict(other.token)).toBe('ERR_TOKEN_REVOKED');
  expect((await auditRows()).at(-1)).toEqual({
    action: 'token.refresh',
    target: 'alice',
    outcome: 'no user',
  });
  service.clock.advance(1);
  const next = (await foreign.issue({ sub: 'alice', refresh: true })) as Session;
  expect(await outcomeOf(next, foreign)).toBe('refreshed');
});

test('a user who is added after a refresh did not find one keeps the sessions that begin then', async () => {
  const first = await logIn();
  service.clock.advance(5);
  let next: Session | undefined;
  const table = {
    ...service.database.users,
    findMany: async () => {
      service.clock.advance(1);
      next = await logIn();
      return new Map();
    },
  };
  expect(await outcomeOf(first, service.issuer({}, table))).toBe('ERR_USER_UNKNOWN');
  expect([await outcomeOf(first), await outcomeOf(next as Session)]).toEqual([
    ...['ERR_REFRESH_REVOKED', 'refreshed'],
  ]);
});

test('a revocation during a refresh wins', async () => {
  const first = await logIn();
  service.clock.advance(5);
  const during = issuerOver({
    advanceFamilies: async (steps) => {
      const outcomes = await service.registry.advanceFamilies(steps);
      await revokeSubject(
        service.ports,
        POLICY,
        { sub: 'alice', issuedBefore: first.iat },
        { reason: null, dryRun: false },
      );
      return outcomes;
    },
  });
  expect(await outcomeOf(first, during)).toBe('ERR_REFRESH_REVOKED');
  expect(await service.registry.list('alice', service.clock.now())).toEqual([]);
});

test('a refresh that the registry did not answer may be repeated', async () => {
  const first = await logIn();
  const silent = issuerOver({
    advanceFamilies: async (steps) => {
      await service.registry.advanceFamilies(steps);
      throw new JwtctlError('ERR_REDIS_UNREACHABLE', 'It made the steps, and did not answer.');
    },
  });
  expect(await outcomeOf(first, silent)).toBe('ERR_REDIS_UNREACHABLE');
  expect((await refresh(first)).jti).toBe(first.jti.replace('.0', '.1'));
});

test('a repeated refresh that fails leaves the token that the first one returned', async () => {
  const first = await logIn();
  const second = await refresh(first);
  expect(await outcomeOf(first, issuerWhoseDatabaseFails())).toBe('ERR_MYSQL_UNREACHABLE');
  expect(await service.verdict(second.token)).toBe('active');
});

test('a session that ends during a refresh does not fail the others, if its entry stays', async () => {
  const [one, two] = [await logIn(), await logIn()];
  service.clock.advance(5);
  const during = issuerOver({
    advanceFamilies: async (steps) => {
      const outcomes = await service.registry.advanceFamilies(steps);
      const token = { sub: 'alice', jti: one.jti };
      await revokeToken(service.ports, POLICY, token, { reason: null, dryRun: false });
      return outcomes;
    },
    removeEntries: async () => {
      throw new JwtctlError('ERR_REDIS_UNREACHABLE', 'The entry stays.');
    },
  });
  const outcomes = await during.refreshMany([one, two]);
  expect(outcomes.map((outcome) => ('code' in outcome ? outcome.code : outcome.jti))).toEqual([
    'ERR_REFRESH_REVOKED',
    two.jti.replace('.0', '.1'),
  ]);
});

test('a refresh that failed after its step may be repeated after the grace, and a use of its answer starts the grace', async () => {
  const first = await logIn();
  const failing = issuerWhoseDatabaseFails();
  service.clock.advance(1);
  expect(await outcomeOf(first, failing)).toBe('ERR_MYSQL_UNREACHABLE');
  expect(await service.registry.list('alice', service.clock.now())).toHaveLength(2);
  service.clock.advance(10 * refreshGraceSeconds);
  const second = await refresh(first);
  expect([second.jti, await service.verdict(second.token)]).toEqual([
    first.jti.replace('.0', '.1'),
    'active',
  ]);
  service.clock.advance(refreshGraceSeconds + 1);
  expect(await outcomeOf(first)).toBe('ERR_REFRESH_REUSED');
});

test('a session whose access token has expired stays listed, and a revocation of that token ends it', async () => {
  const first = await logIn({ ttlSeconds: 60, meta: { device: 'phone' } });
  service.clock.advance(1_000);
  const { jti, refreshExp } = first;
  expect(await listTokens(service.registry, 'alice', service.clock.now())).toMatchObject([
    { jti, exp: null, refreshExp, meta: { device: 'phone' } },
  ]);
  const options = { reason: null, dryRun: true };
  const revoke = (dryRun: boolean) =>
    revokeToken(service.ports, POLICY, { sub: 'alice', jti }, { ...options, dryRun });
  for (const dryRun of [true, false])
    expect(await revoke(dryRun)).toMatchObject({ revoked: 0, sessions: 1, alreadyGone: 0 });
  expect(await revoke(false)).toMatchObject({ revoked: 0, sessions: 0, alreadyGone: 1 });
  expect(await outcomeOf(first)).toBe('ERR_REFRESH_REVOKED');
});

test('the sessions that a batch ends are recorded in one transaction, each with its event and audit row', async () => {
  const subs = ['bob', 'carol'];
  for (const sub of subs) await service.database.users.add({ sub, name: null, at: service.clock.now() });
  service.clock.advance(1);
  const first = await Promise.all(['alice', 'alice', ...subs].map((sub) => logIn({ sub })));
  for (const session of first) await refresh(session);
  service.clock.advance(refreshGraceSeconds + 1);
  const { database, transactions } = countingTransactions();
  const counted = new Issuer({ ...service.ports, users: database.users, ...SIGNING, database }, POLICY);
  const outcomes = await counted.refreshMany(first);
  expect(outcomes).toMatchObject(Array(4).fill({ code: 'ERR_REFRESH_REUSED' }));
  expect(transactions()).toBe(1);
  expect((await auditRows()).filter(({ outcome }) => outcome === 'reused')).toHaveLength(4);
  for (const session of first) expect(await outcomeOf(session)).toBe('ERR_REFRESH_REVOKED');
  for (const sub of ['alice', ...subs])
    expect(await service.registry.list(sub, service.clock.now())).toEqual([]);
});

test('the ends of 65 sessions take two transactions, and one that fails concerns only its own sessions', async () => {
  const sessions = await issuer.issueMany(Array(65).fill({ sub: 'alice', refresh: true }));
  const uses = sessions.map((session) => ({ refreshToken: String((session as Session).refreshToken) }));
  await issuer.refreshMany(uses);
  service.clock.advance(refreshGraceSeconds + 1);
  let transactions = 0;
  let reads = 0;
  const transaction: typeof service.database.transaction = (work) => {
    transactions += 1;
    if (transactions === 2) return Promise.reject(new JwtctlError('ERR_MYSQL_UNREACHABLE', 'It is away.'));
    return service.database.transaction((stores) => {
      const findNaming: typeof stores.securityLog.findNaming = (tokens) => {
        reads += 1;
        return stores.securityLog.findNaming(tokens);
      };
      return work({ ...stores, securityLog: { ...stores.securityLog, findNaming } });
    });
  };
  const database = { ...service.database, transaction };
  const failing = new Issuer({ ...service.ports, users: database.users, ...SIGNING, database }, POLICY);
  const codes = (await failing.refreshMany(uses)).map((outcome) => 'code' in outcome && outcome.code);
  expect(codes).toEqual([...Array(64).fill('ERR_REFRESH_REUSED'), 'ERR_MYSQL_UNREACHABLE']);
  expect([transactions, reads]).toEqual([2, 1]);
});

test('a reused session has ended even if the registry cannot remove it', async () => {
  const first = await logIn();
  await refresh(first);
  service.clock.advance(refreshGraceSeconds + 1);
  const remove = () => Promise.reject(new JwtctlError('ERR_REDIS_WRONG_TYPE', 'The key holds a string.'));
  expect(await outcomeOf(first, issuerOver({ remove }))).toBe('ERR_REFRESH_REUSED');
  expect(await outcomeOf(first)).toBe('ERR_REFRESH_REVOKED');
});

test('a batch of users who are missing is recorded in one transaction', async () => {
  const subs = ['bob', 'carol'];
  for (const sub of subs) await service.database.users.add({ sub, name: null, at: service.clock.now() });
  service.clock.advance(1);
  const sessions = await Promise.all(subs.map((sub) => logIn({ sub })));
  const { database, transactions } = countingTransactions();
  const users = { ...database.users, findMany: async () => new Map() };
  const counted = new Issuer({ ...service.ports, users, ...SIGNING, database }, POLICY);
  const outcomes = await counted.refreshMany(sessions);
  expect(outcomes).toMatchObject(Array(2).fill({ code: 'ERR_USER_UNKNOWN' }));
  expect(transactions()).toBe(1);
  for (const session of sessions) expect(await outcomeOf(session)).toBe('ERR_REFRESH_REVOKED');
});

test('if the end of reused sessions cannot be recorded, no client is told that its session has ended', async () => {
  const sessions = [await logIn(), await logIn()];
  for (const session of sessions) await refresh(session);
  service.clock.advance(refreshGraceSeconds + 1);
  const transaction = async (): Promise<never> => {
    throw new JwtctlError('ERR_MYSQL_UNREACHABLE', 'The database is away.');
  };
  const database = { ...service.database, transaction };
  const failing = new Issuer({ ...service.ports, users: database.users, ...SIGNING, database }, POLICY);
  expect(await failing.refreshMany(sessions)).toMatchObject(Array(2).fill({ code: 'ERR_MYSQL_UNREACHABLE' }));
});

test('many sessions are refreshed together, each with its own outcome', async () => {
  const [one, two, three] = [await logIn(), await logIn({ clientId: 'shop' }), await logIn()];
  const next = await refresh(three);
  service.clock.advance(refreshGraceSeconds + 1);
  const outcomes = await issuer.refreshMany([one, two, three, { refreshToken: 'x' }, one, next]);
  expect(outcomes.map((outcome) => ('code' in outcome ? outcome.code : outcome.jti))).toEqual([
    one.jti.replace('.0', '.1'),
    ...['ERR_REFRESH_INVALID', 'ERR_REFRESH_REUSED', 'ERR_REFRESH_INVALID'],
    one.jti.replace('.0', '.1'),
    'ERR_REFRESH_REVOKED',
  ]);
});

describe('a batch of tokens with and without sessions', () => {
  const away = async (): Promise<never> => {
    throw new JwtctlError('ERR_REDIS_UNREACHABLE', 'Redis is away.');
  };
  const requests = [{ sub: 'alice' }, { sub: 'alice', refresh: true }];

  test.each([
    ['sessions', { advanceFamilies: away }, 0],
    ['other tokens', { registerMany: away }, 1],
  ])('fails only its %s if those cannot be registered', async (_, overrides, issued) => {
    const outcomes = await issuerOver(overrides).issueMany(requests);
    expect(outcomes[issued]).toMatchObject({ sub: 'alice' });
    expect(outcomes[1 - issued]).toMatchObject({ code: 'ERR_REDIS_UNREACHABLE' });
  });

  test('rejects if nothing can be registered', async () => {
    const none = issuerOver({ registerMany: away, advanceFamilies: away });
    await expect(none.issueMany(requests.slice(0, 1))).rejects.toMatchObject({ kind: 'unavailable' });
    expect(await none.issueMany(requests)).toMatchObject([{ kind: 'unavailable' }, { kind: 'unavailable' }]);
  });
});

test.each([false, true])(
  'a token whose audit row fails is not left behind, with a session: %s',
  async (isSession) => {
    const { ports, database, registry, clock } = service;
    let isReadOnly = false;
    const transaction: typeof database.transaction = async (work) => {
      if (isReadOnly) throw new JwtctlError('ERR_MYSQL_READ_ONLY', 'The database is read-only.');
      return database.transaction(work);
    };
    const failing = new Issuer(
      { ...ports, users: database.users, ...SIGNING, database: { ...database, transaction } },
      POLICY,
    );
    const request = { sub: 'alice', refresh: isSession };
    const { jti } = await failing.issue(request);
    isReadOnly = true;
    await expect(failing.issue(request)).rejects.toMatchObject({ code: 'ERR_MYSQL_READ_ONLY' });
    expect(await registry.list('alice', clock.now())).toMatchObject([{ jti }]);
    expect(await listFamilies(registry, 'alice', clock.now())).toHaveLength(isSession ? 1 : 0);
  },
);
