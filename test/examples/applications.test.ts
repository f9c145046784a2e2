import { randomBytes } from 'node:crypto';
import { copyFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ROOT } from '../support/documents.js';
import { type Served, startServed } from '../support/served.js';
import { openStores, type Stores } from '../support/stores.js';
import { type Application, Browser, PLATFORMS, startApplication } from './application.js';

const SECRET = randomBytes(32).toString('hex');

let stores: Stores;
let served: Served;

beforeAll(async () => {
  stores = await openStores('MariaDB and a Redis Cluster');
  await stores.json('keys', 'generate');
  for (const name of ['alice', 'bob']) await stores.json('users', 'add', name);
  copyFileSync(join(ROOT, 'examples/serve.yaml'), join(stores.home, 'serve.yaml'));
  writeFileSync(join(stores.home, 'client.secret'), SECRET, { mode: 0o600 });
  served = await startServed(stores.env, '--config', join(stores.home, 'serve.yaml'));
});
afterAll(async () => {
  await served?.kill();
  await stores?.close();
});

for (const platform of PLATFORMS)
  describe.skipIf(!platform.isInstalled)(`examples/${platform.folder}`, () => {
    let application: Application;
    const browser = () => new Browser(application.url);
    const loggedIn = async (name: string) => {
      const opened = browser();
      expect((await opened.logIn(name)).status, application.log()).toBe(204);
      return opened;
    };

    const withAccessToken = (token: string) => new Browser(application.url, [['access_token', token]]);

    beforeAll(async () => {
      const env = { AUTH_URL: `http://127.0.0.1:${served.port}`, AUTH_CLIENT_SECRET: SECRET };
      application = await startApplication(platform, env);
    });
    afterAll(() => application?.stop());

    test('logs in with cookies that scripts and other sites cannot use', async () => {
      const alice = browser();
      const { status, set } = await alice.logIn('alice');
      expect([status, set.length, [...alice.cookies.keys()].sort()]).toEqual([
        ...[204, 2, ['access_token', 'refresh_token']],
      ]);
      for (const cookie of set)
        for (const attribute of ['HttpOnly', 'SameSite=Lax', 'Secure', 'Path=/'])
          expect(cookie.toLowerCase().split('; ')).toContain(attribute.toLowerCase());
      expect(await alice.send('GET', '/me')).toEqual({
        ...{ status: 200, body: { sub: 'alice', role: 'admin' }, set: [] },
      });
    });

    test.each([
      ['alice', 'bob-password'],
      ['carol', 'alice-password'],
      ['', ''],
    ])('refuses the login of %j with the password %j', async (username, password) => {
      const { status, set } = await browser().logIn(username, password);
      expect({ status, set }).toEqual({ status: 401, set: [] });
    });

    test('refuses the login of a user who is disabled in jwtctl', async () => {
      await stores.json('users', 'disable', 'bob');
      const { status, set } = await browser().logIn('bob');
      expect({ status, set }).toEqual({ status: 403, set: [] });
      await stores.json('users', 'enable', 'bob');
    });

    test('lets only an admin see the admin page', async () => {
      expect(await (await loggedIn('alice')).status('GET', '/admin')).toBe(200);
      expect(await (await loggedIn('bob')).status('GET', '/admin')).toBe(403);
      expect(await browser().status('GET', '/admin')).toBe(401);
    });

    test.each(['', 'x', 'a.b.c', 'a b', 'caf\u00e9', '.'.repeat(9_000)])(
      'refuses the access token %j',
      async (token) => {
        expect(await withAccessToken(token).status('GET', '/me')).toBe(401);
      },
    );

    test('refuses an access token that would inject a header', async () => {
      const token = (await loggedIn('alice')).cookies.get('access_token');
      expect(await withAccessToken(`${token}`).status('GET', '/me')).toBe(200);
      // PHP decodes cookies, and Flask reads octal escapes in quotes.
      for (const forged of [`${token}%0d%0aX-Injected:1`, `${token}%0a`, `"${token}\\015\\012X-Injected:1"`])
        expect(await withAccessToken(forged).status('GET', '/me'), forged).toBe(401);
    });

    test('refreshes a session, and ends it if an old refresh token is used again', async () => {
      const alice = await loggedIn('alice');
      const before = alice.copy();
      for (let times = 0; times < 2; times++) {
        expect(await alice.status('POST', '/refresh')).toBe(204);
        expect(await alice.status('GET', '/me')).toBe(200);
      }
      expect(alice.cookies.get('refresh_token')).not.toBe(before.cookies.get('refresh_token'));
      expect(await before.status('POST', '/refresh')).toBe(401);
      await expect.poll(() => alice.status('GET', '/me')).toBe(401);
      expect(await alice.status('POST', '/refresh')).toBe(401);
    });

    test('refuses a refresh without a refresh token', async () => {
      expect(await browser().status('POST', '/refresh')).toBe(401);
    });

    test.each(['access_token', 'refresh_token'])('logs out without the cookie %s', async (name) => {
      const bob = await loggedIn('bob');
      const stolen = bob.copy();
      bob.cookies.delete(name);
      expect(await bob.status('POST', '/logout')).toBe(204);
      expect([...bob.cookies]).toEqual([]);
      expect(await stolen.status('GET', '/me')).toBe(401);
      expect(await stolen.status('POST', '/refresh')).toBe(401);
    });

    test('logs out of every session of the user', async () => {
      const [here, there, bob] = [await loggedIn('alice'), await loggedIn('alice'), await loggedIn('bob')];
      const stolen = here.copy();
      expect(await here.status('POST', '/logout-everywhere')).toBe(204);
      expect([...here.cookies]).toEqual([]);
      for (const ended of [stolen, there]) {
        expect(await ended.status('GET', '/me')).toBe(401);
        expect(await ended.status('POST', '/refresh')).toBe(401);
      }
      expect(await bob.status('GET', '/me')).toBe(200);
    });

    test('lists each session once', async () => {
      await (await loggedIn('alice')).send('POST', '/logout-everywhere');
      const [here] = [await loggedIn('alice'), await loggedIn('alice')];
      expect(await here.status('POST', '/refresh')).toBe(204);
      const { body } = await here.send('GET', '/sessions');
      const meta = { device: expect.stringMatching(/^Test\/1 \(caf\?+\)$/) };
      expect(body).toHaveLength(2);
      expect(body).toEqual(expect.arrayContaining([true, false].map((current) => ({ meta, current }))));
    });
  });
