import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { newUserForEachTest } from '../../support/http-session.js';
import { basic, bearer, CLIENT, servingsOver } from '../../support/serving.js';
import { BACKENDS, openStores, type Stores } from '../../support/stores.js';

describe.each(BACKENDS)('managing users over HTTP on %s', (backend) => {
  let stores: Stores;
  /** A new name for each test. */
  let sub: string;

  beforeAll(async () => {
    stores = await openStores(backend);
    await stores.json('keys', 'generate');
  });
  newUserForEachTest(
    () => stores,
    (name) => {
      sub = name;
    },
    { isAdded: false },
  );
  afterAll(() => stores?.close());

  const serving = servingsOver(() => stores);

  async function opened(nearCache = false) {
    const one = await serving({ nearCache });
    const call = (method: 'PUT' | 'PATCH' | 'DELETE' | 'POST', body?: object, url = path()) =>
      one.app.inject({
        ...{ method, url, headers: basic(CLIENT) },
        ...(body === undefined ? {} : { payload: body }),
      });
    const verified = async (token: string) =>
      (await one.app.inject({ url: '/verify', headers: bearer(token) })).statusCode;
    return { ...one, call, verified };
  }

  const path = () => `/v1/users/${encodeURIComponent(sub)}`;
  const issue = async () => (await stores.json('token', 'issue', '--sub', sub)).token;
  const audited = async () => {
    const rows = await stores.query(
      `SELECT actor, action, target, reason FROM audit_log WHERE action LIKE 'users.%' ORDER BY seq`,
    );
    return rows
      .filter(({ target }) => target === sub)
      .map(({ actor, action, reason }) => [actor, action, reason]);
  };

  test('PUT adds a user, and renames an existing one without lifting a ban', async () => {
    const { call } = await opened();
    const created = await call('PUT', { name: 'Alice' });
    expect([created.statusCode, created.json()]).toEqual([
      201,
      expect.objectContaining({ sub, name: 'Alice', status: 'enabled' }),
    ]);
    await stores.json('users', 'disable', sub);
    const again = await call('PUT');
    expect([again.statusCode, again.json()]).toEqual([
      200,
      expect.objectContaining({ name: 'Alice', status: 'disabled' }),
    ]);
    expect((await call('PUT', { name: null })).json()).toMatchObject({ name: null, status: 'disabled' });
    expect(await stores.json('users', 'show', sub)).toMatchObject({ name: null, status: 'disabled' });
    const actor = `client:${CLIENT.id}`;
    expect(await audited()).toEqual([
      [actor, 'users.add', null],
      [expect.not.stringMatching('^client:'), 'users.disable', null],
      [actor, 'users.rename', null],
    ]);
  });

  test('PATCH disables and enables a user for every verifier', async () => {
    const { call, verified } = await opened();
    await call('PUT');
    const token = await issue();
    expect(await verified(token)).toBe(200);
    const disabled = await call('PATCH', { status: 'disabled', reason: 'lost laptop' });
    expect([disabled.statusCode, disabled.json().status]).toEqual([200, 'disabled']);
    expect(await verified(token)).toBe(401);
    expect((await audited()).at(-1)).toEqual([`client:${CLIENT.id}`, 'users.disable', 'lost laptop']);
    expect((await call('PATCH', { status: 'enabled', name: 'Bob' })).json()).toMatchObject({
      ...{ name: 'Bob', status: 'enabled' },
    });
    expect(await verified(token)).toBe(200);
  });

  test.each([false, true])(
    'a user disabled for some time is enabled again by itself, with near cache: %s',
    async (nearCache) => {
      const { call, verified } = await opened(nearCache);
      await call('PUT');
      const token = await issue();
      expect(await verified(token)).toBe(200);
      const at = stores.clock.now();
      const disabled = await call('PATCH', { status: 'disabled', for: '90s' });
      expect(disabled.json()).toMatchObject({ status: 'disabled', disabledUntil: at + 90 });
      const outcome = async () => ({
        served: await verified(token),
        verify: (await stores.run('token', 'verify', token)).exitCode,
        issue: (await stores.run('token', 'issue', '--sub', sub)).exitCode,
        list: (await stores.json('users', 'list')).find((user: { sub: string }) => user.sub === sub).status,
        show: (await stores.json('users', 'show', sub)).disabledUntil,
      });
      const refused = { served: 401, verify: 1, issue: 3, list: 'disabled', show: at + 90 };
      expect(await outcome()).toEqual(refused);
      // The clocks of two hosts may differ by token.clockTolerance (5 s).
      stores.clock.advance(94);
      expect(await outcome()).toEqual(refused);
      stores.clock.advance(1);
      expect(await outcome()).toEqual({ served: 200, verify: 0, issue: 0, list: 'enabled', show: null });
      // Now without a limit.
      await stores.json('users', 'disable', sub);
      expect(await verified(token)).toBe(401);
      stores.clock.advance(90);
      expect(await verified(token)).toBe(401);
    },
  );

  test('DELETE removes a user and ends the tokens of the user', async () => {
    const { call, verified } = await opened();
    await call('PUT');
    const token = await issue();
    const answer = await call('DELETE');
    expect([answer.statusCode, answer.json()]).toEqual([200, { revoked: 1 }]);
    expect(await verified(token)).toBe(401);
    expect((await call('DELETE')).json()).toMatchObject({ code: 'ERR_USER_UNKNOWN' });
  });

  test.each(['.', '..'])('a subject that a path cannot carry goes into the query: %s', async (name) => {
    const { call } = await opened();
    const url = `/v1/users?sub=${name}`;
    expect((await call('PUT', {}, url)).json()).toMatchObject({ sub: name, status: 'enabled' });
    expect((await call('PATCH', { status: 'disabled' }, url)).json()).toMatchObject({ status: 'disabled' });
    expect((await call('DELETE', undefined, url)).json()).toEqual({ revoked: 0 });
  });

  test('names the member that is wrong, and changes nothing', async () => {
    const { call } = await opened();
    await stores.json('users', 'add', sub);
    const before = await stores.content();
    for (const [method, body, field, url] of [
      ['PUT', { nam: 'x' }, 'nam'],
      ['PUT', { name: 1 }, 'name'],
      ['PUT', { name: '' }, 'name'],
      ['PUT', {}, 'x', `${path()}?x=1`],
      ['PUT', {}, 'sub', '/v1/users'],
      ['PUT', {}, 'sub', '/v1/users/%20new'],
      ['PATCH', {}, 'status'],
      ['PATCH', { status: 'removed' }, 'status'],
      ['PATCH', { name: 'x', reason: 'y' }, 'reason'],
      ['PATCH', { status: 'enabled', for: 60 }, 'for'],
      ['PATCH', { name: 'x', for: 60 }, 'for'],
      ['PATCH', { status: 'disabled', for: 0 }, 'for'],
      ['PATCH', { status: 'disabled', for: 9007199254740991 }, 'for'],
      ['PATCH', { status: 'disabled', for: 'ever' }, 'for'],
      ['PATCH', { status: 'disabled', reason: 'a\nb' }, 'reason'],
      ['PATCH', { status: 'disabled', name: 'a\nb' }, 'name'],
      ['DELETE', undefined, 'all', `${path()}?all=true`],
    ] as const) {
      const answer = await call(method, body, url);
      expect([method, body, answer.statusCode, answer.json().field]).toEqual([method, body, 422, field]);
    }
    const unknown = await call('PATCH', { status: 'enabled' }, '/v1/users/unknown');
    expect([unknown.statusCode, unknown.json().code]).toEqual([404, 'ERR_USER_UNKNOWN']);
    expect(await stores.content()).toBe(before);
  });
});

describe.each(BACKENDS)('users in a table of the application, over HTTP on %s', (backend) => {
  const source = { JWTCTL_USERS_TABLE: 'accounts', JWTCTL_USERS_COLUMN: 'login' };
  let stores: Stores;

  beforeAll(async () => {
    stores = await openStores(backend, {
      ...{ ...source, JWTCTL_USERS_SOURCE: 'table', JWTCTL_USERS_ENABLED_WHERE: 'is_active = 1' },
    });
    await stores.json('keys', 'generate');
    await stores.query('CREATE TABLE accounts (login varchar(100), is_active integer)');
    await stores.query(`INSERT INTO accounts VALUES ('alice', 1), ('bob', 1)`);
  });
  afterAll(() => stores?.close());

  const serving = servingsOver(() => stores);

  test('cannot be changed', async () => {
    const { app } = await serving();
    for (const [method, payload] of [
      ['PUT', {}],
      ['PATCH', { status: 'disabled' }],
      ['DELETE', undefined],
    ] as const) {
      const request = { method, url: '/v1/users/alice', headers: basic(CLIENT) };
      const answer = await app.inject(payload === undefined ? request : { ...request, payload });
      expect([method, answer.statusCode, answer.json().code]).toEqual([method, 409, 'ERR_USERS_NOT_MANAGED']);
    }
  });

  test.each([false, true])(
    'a changed row is seen by every verifier after a refresh, with near cache: %s',
    async (nearCache) => {
      const verifiers = [await serving({ nearCache }), await serving({ nearCache })];
      const tokens = await Promise.all(
        ['alice', 'bob'].map(async (sub) => (await stores.json('token', 'issue', '--sub', sub)).token),
      );
      const verified = () =>
        Promise.all(
          verifiers.flatMap(({ app }) =>
            tokens.map(
              async (token) => (await app.inject({ url: '/verify', headers: bearer(token) })).statusCode,
            ),
          ),
        );
      const refresh = async (url: string) => {
        const request = { method: 'POST', url, headers: basic(CLIENT) } as const;
        const answer = await verifiers[0]?.app.inject(request);
        return answer?.json();
      };
      expect(await verified()).toEqual([200, 200, 200, 200]);
      await stores.query('UPDATE accounts SET is_active = 0');
      expect(await verified()).toEqual([200, 200, 200, 200]);
      expect(await refresh('/v1/users/alice/refresh')).toEqual({ sub: 'alice', status: 'disabled' });
      await expect.poll(verified, { timeout: 8_000 }).toEqual([401, 200, 401, 200]);
      expect(await stores.json('users', 'refresh', 'bob')).toEqual({ sub: 'bob', status: 'disabled' });
      await expect.poll(verified, { timeout: 8_000 }).toEqual([401, 401, 401, 401]);
      await stores.query('UPDATE accounts SET is_active = 1');
      await refresh('/v1/users/refresh?sub=alice');
      await stores.json('users', 'refresh', 'bob');
      await expect.poll(verified, { timeout: 8_000 }).toEqual([200, 200, 200, 200]);
    },
  );

  test('a refresh of a row that does not exist says so, and a dry run records nothing', async () => {
    expect(await stores.json('users', 'refresh', 'carol')).toEqual({ sub: 'carol', status: 'unknown' });
    const before = await stores.content();
    expect(await stores.json('users', 'refresh', 'carol', '-n')).toMatchObject({ dryRun: true });
    expect(await stores.content()).toBe(before);
  });
});

test('a managed user needs no refresh, and without users there is nothing to refresh', async () => {
  const stores = await openStores('SQLite');
  await stores.json('users', 'add', 'alice');
  const before = await stores.content();
  expect(await stores.json('users', 'refresh', 'alice')).toEqual({ sub: 'alice', status: 'enabled' });
  expect(await stores.content()).toBe(before);
  stores.env.JWTCTL_USERS_SOURCE = 'off';
  expect((await stores.run('users', 'refresh', 'alice')).exitCode).toBe(3);
});
