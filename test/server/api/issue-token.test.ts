import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { closedPorts } from '../../support/proxies/silent-server.js';
import { startSwitchingProxy } from '../../support/proxies/switching-proxy.js';
import {
  basic,
  bearer,
  CLIENT,
  type Client,
  clientSetting,
  openServing,
  type Serving,
  servingsOver,
} from '../../support/serving.js';
import { BACKENDS, openStores, type Stores } from '../../support/stores.js';

function post(
  { app }: Serving,
  body: unknown,
  { client = CLIENT, type = 'application/json' }: { client?: Client; type?: string | undefined } = {},
) {
  const payload = typeof body === 'string' ? body : JSON.stringify(body);
  return app.inject({
    ...{ method: 'POST', url: '/v1/tokens', payload },
    headers: { ...basic(client), 'content-type': type },
  });
}

describe.each(BACKENDS)('POST /v1/tokens on %s', (backend) => {
  let stores: Stores;

  beforeAll(async () => {
    stores = await openStores(backend);
    await stores.json('keys', 'generate');
    for (const sub of ['alice', 'bob', 'carol']) await stores.json('users', 'add', sub);
    await stores.json('users', 'disable', 'carol');
  });
  afterAll(() => stores?.close());

  const serving = servingsOver(() => stores);

  test('signs, registers, and records a token in the name of the client', async () => {
    const one = await serving();
    const now = stores.clock.now();
    const answer = await post(one, {
      ...{ sub: 'alice', aud: ['user', 'shop'], ttl: '15m' },
      claims: { role: 'admin', nested: [1.5, true, null] },
    });
    expect(answer.statusCode).toBe(201);
    expect(answer.headers['cache-control']).toBe('no-store');
    const issued = answer.json();
    expect(issued).toEqual({
      ...{ token: expect.stringMatching(/^eyJ/), tokenType: 'Bearer', jti: expect.any(String) },
      ...{ kid: expect.any(String), sub: 'alice', aud: ['user', 'shop'], iat: now, exp: now + 900 },
    });
    expect(await stores.json('token', 'verify', issued.token)).toMatchObject({
      active: true,
      payload: { role: 'admin', nested: [1.5, true, null], sub: 'alice', jti: issued.jti },
    });
    expect((await one.app.inject({ url: '/verify', headers: bearer(issued.token) })).statusCode).toBe(200);
    const [row] = await stores.query(
      `SELECT actor, target, outcome FROM audit_log WHERE action = 'token.issue' ORDER BY seq DESC LIMIT 1`,
    );
    expect(row).toEqual({ actor: `client:${CLIENT.id}`, target: `alice ${issued.jti}`, outcome: 'done' });
    expect(one.lines()).toMatchObject([
      { status: 201, code: 'issued', client: CLIENT.id, requestId: answer.headers['x-request-id'] },
    ]);
    expect(JSON.stringify(one.lines())).not.toContain(issued.token.slice(-20));
  });

  test('many requests at once get a token and an audit row each', async () => {
    const one = await serving();
    const subs = Array.from({ length: 60 }, (_, index) =>
      index % 3 === 0 ? 'alice' : index % 3 === 1 ? 'bob' : 'unknown',
    );
    const answers = await Promise.all(subs.map((sub) => post(one, { sub })));
    expect(answers.map(({ statusCode }) => statusCode)).toEqual(
      subs.map((sub) => (sub === 'unknown' ? 404 : 201)),
    );
    const jtis = answers.flatMap((answer) => answer.json().jti ?? []);
    expect(new Set(jtis).size).toBe(40);
    const rows = await stores.query(`SELECT target FROM audit_log WHERE action = 'token.issue'`);
    const targets = new Set(rows.map(({ target }) => String(target).split(' ')[1]));
    expect(jtis.every((jti) => targets.has(jti))).toBe(true);
    const live = [
      await stores.json('token', 'list', '--sub', 'alice'),
      await stores.json('token', 'list', '--sub', 'bob'),
    ];
    const registered = new Set(live.flat().map(({ jti }) => jti));
    expect(jtis.every((jti) => registered.has(jti))).toBe(true);
  });

  const invalid: Array<[what: string, body: unknown, field: string]> = [
    ['no sub', {}, 'sub'],
    ['a sub that is a number', { sub: 1 }, 'sub'],
    ['an empty sub', { sub: '' }, 'sub'],
    ['a sub with a control character', { sub: 'a\u0000' }, 'sub'],
    ['an unknown member', { sub: 'alice', audience: 'user' }, 'audience'],
    ['an empty aud', { sub: 'alice', aud: [] }, 'aud'],
    ['an aud with an empty string', { sub: 'alice', aud: ['user', ''] }, 'aud'],
    ['an aud with a number', { sub: 'alice', aud: ['user', 1] }, 'aud'],
    ['a ttl of zero', { sub: 'alice', ttl: 0 }, 'ttl'],
    ['a fractional ttl', { sub: 'alice', ttl: 1.5 }, 'ttl'],
    ['a ttl that is no duration', { sub: 'alice', ttl: 'soon' }, 'ttl'],
    ['a ttl beyond the maximum', { sub: 'alice', ttl: '25h' }, 'ttl'],
    ['a ttl that is null', { sub: 'alice', ttl: null }, 'ttl'],
    ['a notBefore after the end', { sub: 'alice', ttl: 60, notBefore: 60 }, 'notBefore'],
    ['claims that are an array', { sub: 'alice', claims: [] }, 'claims'],
    ['a registered claim', { sub: 'alice', claims: { iss: 'x' } }, 'claims'],
    ['a number beyond 2^53', '{"sub":"alice","claims":{"id":1147953659032899584}}', 'claims'],
    ['a number beyond the range', '{"sub":"alice","ttl":1e400}', 'ttl'],
    ['claims that are too long', { sub: 'alice', claims: { x: 'x'.repeat(40_000) } }, 'claims'],
    ['createUser as text', { sub: 'alice', createUser: 'yes' }, 'createUser'],
    ['createUser for a name with white space', { sub: ' dave', createUser: true }, 'sub'],
  ];

  test('names the member that is wrong, and changes nothing', async () => {
    const one = await serving();
    const before = await stores.content();
    for (const [what, body, field] of invalid) {
      const answer = await post(one, body);
      expect([what, answer.statusCode, answer.json().field]).toEqual([what, 422, field]);
      expect(answer.json()).toMatchObject({
        ...{ error: 'Unprocessable Entity', code: expect.stringMatching(/^ERR_/) },
        message: expect.any(String),
      });
    }
    expect(await stores.content()).toBe(before);
    const logged = one.lines().map(({ code, field, msg }) => ({ isCode: /^ERR_/.test(code), field, msg }));
    expect(logged).toEqual(invalid.map(([, , field]) => ({ isCode: true, field, msg: undefined })));
  });

  test('refuses bodies that it cannot read, and changes nothing', async () => {
    const one = await serving();
    const before = await stores.content();
    const deep = `{"sub":"alice","claims":${'{"a":'.repeat(3000)}1${'}'.repeat(3000)}}`;
    const bodies: Array<[string, number, string?]> = [
      ['', 400],
      ['{', 400],
      ['[]', 400],
      ['"alice"', 400],
      [deep, 400],
      ['['.repeat(60_000), 400],
      [`{"sub":"${'a'.repeat(70_000)}"}`, 413],
      ['{"sub":"alice","sub":"bob"}', 422],
      ['sub=alice', 422, 'application/x-www-form-urlencoded'],
      ['{"sub":"alice"}', 415, 'text/plain'],
    ];
    for (const [body, status, type] of bodies) {
      const answer = await post(one, body, { type });
      expect([body.slice(0, 20), answer.statusCode]).toEqual([body.slice(0, 20), status]);
      expect(answer.json()).toMatchObject({ code: 'ERR_REQUEST_INVALID', message: expect.any(String) });
    }
    expect(await stores.content()).toBe(before);
  });

  test('refuses unknown and disabled users, and audiences of other clients', async () => {
    const shop: Client = { id: 'shop', secret: 's'.repeat(32) };
    const one = await serving({
      clients: [clientSetting(CLIENT), clientSetting(shop, { may: ['issue'], audiences: ['shop', 'web'] })],
    });
    const outcome = async (body: unknown, options = {}) => {
      const answer = await post(one, body, options);
      return [answer.statusCode, answer.json().code];
    };
    const before = await stores.content();
    expect(await outcome({ sub: 'unknown' })).toEqual([404, 'ERR_USER_UNKNOWN']);
    expect(await outcome({ sub: 'carol' })).toEqual([403, 'ERR_USER_DISABLED']);
    for (const aud of [undefined, 'user', ['shop', 'user']]) {
      expect(await outcome({ sub: 'alice', aud }, { client: shop })).toEqual([403, 'ERR_CLIENT_FORBIDDEN']);
    }
    const created = { sub: 'dave', aud: 'shop', createUser: true };
    expect(await outcome(created, { client: shop })).toEqual([403, 'ERR_CLIENT_FORBIDDEN']);
    expect(await stores.content()).toBe(before);
    expect(await outcome({ sub: 'alice', aud: ['shop', 'web'] }, { client: shop })).toEqual([201, undefined]);
  });

  test('createUser adds a missing user once, also for requests at the same time', async () => {
    const one = await serving();
    const answers = await Promise.all(
      Array.from({ length: 5 }, () => post(one, { sub: 'erin', createUser: true })),
    );
    expect(answers.map(({ statusCode }) => statusCode)).toEqual([201, 201, 201, 201, 201]);
    expect(await stores.json('users', 'show', 'erin')).toMatchObject({ status: 'enabled' });
    expect(
      await stores.query(`SELECT actor FROM audit_log WHERE action = 'users.add' AND target = 'erin'`),
    ).toEqual([{ actor: `client:${CLIENT.id}` }]);
  });

  test('a user whose tokens were ended in this second waits, and does not delay others', async () => {
    const one = await serving();
    await post(one, { sub: 'alice' });
    await stores.json('token', 'revoke', '--sub', 'alice', '--all', '--yes');
    const answered: string[] = [];
    const login = async (sub: string) => {
      const { statusCode } = await post(one, { sub });
      answered.push(`${sub} ${statusCode}`);
    };
    const both = [login('alice'), login('bob')] as const;
    await both[1];
    expect(answered).toEqual(['bob 201']);
    stores.clock.advance(1);
    await both[0];
    expect(answered).toEqual(['bob 201', 'alice 201']);
  });

  test('needs an active key', async () => {
    const empty = await openStores(backend);
    try {
      await empty.json('users', 'add', 'alice');
      const one = await openServing(empty);
      const answer = await post(one, { sub: 'alice' });
      expect([answer.statusCode, answer.json().code]).toEqual([409, 'ERR_NO_ACTIVE_KEY']);
      await one.close();
    } finally {
      await empty.close();
    }
  });
});

describe('POST /v1/tokens without a store', () => {
  let stores: Stores;

  beforeAll(async () => {
    stores = await openStores('MariaDB and a Redis Cluster', { JWTCTL_TIMEOUT: '2s' });
    await stores.json('keys', 'generate');
    await stores.json('users', 'add', 'alice');
  });
  afterAll(() => stores?.close());

  const issuedRows = () => stores.query(`SELECT seq FROM audit_log WHERE action = 'token.issue'`);
  const unavailable = { status: 503, retryAfter: '1', error: 'Service Unavailable' };

  async function outcome(one: Serving) {
    const { statusCode: status, headers, json } = await post(one, { sub: 'alice' });
    return { status, retryAfter: headers['retry-after'], error: json().error };
  }

  test('MySQL away: 503, also for requests at once, and no token', async () => {
    const proxy = await startSwitchingProxy(String(stores.env.JWTCTL_MYSQL_URL));
    const one = await openServing({ ...stores, env: { ...stores.env, JWTCTL_MYSQL_URL: proxy.url } });
    try {
      expect((await outcome(one)).status).toBe(201);
      const live = await stores.json('token', 'list', '--sub', 'alice');
      await proxy.stop();
      const answers = await Promise.all(Array.from({ length: 5 }, () => outcome(one)));
      expect(answers).toEqual(Array(5).fill(unavailable));
      expect(await issuedRows()).toHaveLength(1);
      expect(await stores.json('token', 'list', '--sub', 'alice')).toEqual(live);
    } finally {
      await one.close();
    }
  });

  test('Redis away: 503, and no audit row', async () => {
    const [port] = await closedPorts(1);
    const before = await issuedRows();
    const one = await openServing({
      ...stores,
      env: { ...stores.env, JWTCTL_REDIS_NODES: `127.0.0.1:${port}` },
    });
    try {
      expect(await outcome(one)).toEqual(unavailable);
      expect(await issuedRows()).toEqual(before);
    } finally {
      await one.close();
    }
  });
});
