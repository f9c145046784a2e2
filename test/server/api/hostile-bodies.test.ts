import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { basic, CLIENT, servingsOver } from '../../support/serving.js';
import { openStores, type Stores } from '../../support/stores.js';

const JSON_TYPE = 'application/json';
const FORM_TYPE = 'application/x-www-form-urlencoded';
const MOST_BYTES = 65_536;

/** Every endpoint that reads a body. */
const ENDPOINTS = [
  { method: 'POST', url: '/introspect', type: FORM_TYPE },
  { method: 'POST', url: '/token', type: FORM_TYPE },
  { method: 'POST', url: '/revoke', type: FORM_TYPE },
  { method: 'POST', url: '/v1/tokens', type: JSON_TYPE },
  { method: 'PUT', url: '/v1/users/alice', type: JSON_TYPE },
  { method: 'PUT', url: '/v1/users?sub=alice', type: JSON_TYPE },
  { method: 'PATCH', url: '/v1/users/alice', type: JSON_TYPE },
  { method: 'PATCH', url: '/v1/users?sub=alice', type: JSON_TYPE },
] as const;

/** Bodies of each type, and the status that they get. */
const BODIES: Array<[what: string, type: string, body: string, status: number]> = [
  ['no body', JSON_TYPE, '', 400],
  ['cut off', JSON_TYPE, '{"sub":"alice"', 400],
  ['a list', JSON_TYPE, '[]', 400],
  ['nested 10,000 levels deep', JSON_TYPE, `${'{"a":'.repeat(10_000)}1${'}'.repeat(10_000)}`, 400],
  ['too large', JSON_TYPE, `{"sub":"${'a'.repeat(MOST_BYTES)}"}`, 413],
  ['a member of the prototype', JSON_TYPE, '{"__proto__":{"sub":"alice"}}', 422],
  ['no parameters', FORM_TYPE, '', 400],
  ['a repeated parameter', FORM_TYPE, 'token=x&token=y&grant_type=a&grant_type=b', 400],
  ['too large', FORM_TYPE, `token=${'a'.repeat(MOST_BYTES)}`, 413],
];

describe('bodies that an endpoint cannot use', () => {
  let stores: Stores;

  beforeAll(async () => {
    stores = await openStores('SQLite');
    await stores.json('keys', 'generate');
    await stores.json('users', 'add', 'alice');
  });
  afterAll(() => stores?.close());

  const serving = servingsOver(() => stores);

  test.each(ENDPOINTS)('$method $url refuses them, and changes nothing', async ({ method, url, type }) => {
    const { app } = await serving();
    const before = await stores.content();
    const send = (payload: string, contentType: string) =>
      app.inject({ method, url, payload, headers: { ...basic(CLIENT), 'content-type': contentType } });
    for (const [what, ofType, body, status] of BODIES.filter(([, ofType]) => ofType === type)) {
      const answer = await send(body, ofType);
      expect([what, answer.statusCode]).toEqual([what, status]);
      expect(answer.json()).toHaveProperty('error');
      // The answer must not quote a body, which may hold a secret.
      expect(answer.body.length).toBeLessThan(1_000);
    }
    for (const other of ['text/html', 'multipart/form-data; boundary=x', 'application/xml'])
      expect([other, (await send('x', other)).statusCode]).toEqual([other, 415]);
    expect(await stores.content()).toBe(before);
  });
});
