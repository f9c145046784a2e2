import { mkdirSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { get, type Served, startServed } from '../support/served.js';
import { openServerGroup, startNginx } from '../support/servers.js';
import { spawnProgram } from '../support/spawned.js';
import { openStores, type Stores } from '../support/stores.js';

// Debian's python3-jwt is for the system's Python. `npm test` sets another one if that is missing.
const PYTHON = process.env.JWTCTL_TEST_PYTHON ?? '/usr/bin/python3';

/** Verifies a token with the JWK Set at a URL, as many applications do. */
const PYJWT = `
import sys, jwt
url, token = sys.argv[1], sys.argv[2]
key = jwt.PyJWKClient(url).get_signing_key_from_jwt(token)
claims = jwt.decode(token, key.key, algorithms=["RS256"], audience="user", options={"verify_exp": False, "verify_iat": False, "verify_nbf": False})
print(claims["sub"])
`;

const DUE = 30 * 86_400;
const group = openServerGroup();
let stores: Stores;
let served: Served;
let url: string;
let cache: string;

beforeAll(async () => {
  stores = await openStores('MariaDB and a Redis Cluster');
  await stores.json('keys', 'generate');
  await stores.json('users', 'add', 'alice');
  served = await startServed(stores.env);
  cache = join(stores.home, 'cache');
  mkdirSync(cache);
  const front = await startNginx(
    (port) => `
    proxy_cache_path ${cache} keys_zone=jwks:1m inactive=1d;
    server {
        listen 127.0.0.1:${port};
        location / {
            proxy_pass http://127.0.0.1:${served.port};
            proxy_cache jwks;
            # Takes no notice of max-age.
            proxy_ignore_headers Cache-Control Expires;
            proxy_cache_valid 200 1d;
        }
    }`,
    group,
  );
  url = `http://127.0.0.1:${front.port}/.well-known/jwks.json`;
  await get(front.port, '/.well-known/jwks.json', {});
});
afterAll(async () => {
  await served?.kill();
  await group.stop();
  await stores?.close();
});

const verify = (token: string) => spawnProgram(PYTHON, ['-c', PYJWT, url, token]);
const rotate = (...flags: string[]) => stores.json('keys', 'rotate', '--keys-publish-url', url, ...flags);

test('behind nginx that ignores max-age, PyJWT verifies the first token of each key', async () => {
  const issue = async () => (await stores.json('token', 'issue', '--sub', 'alice')).token;
  expect((await verify(await issue())).stdout.trim()).toBe('alice');

  const { pending } = await rotate();
  const direct = async () => (await get(served.port, '/.well-known/jwks.json', {})).body;
  await expect.poll(direct, { timeout: 10_000 }).toContain(pending);
  stores.clock.advance(DUE);
  // nginx would keep the old set for a day.
  expect(await rotate()).toMatchObject({ rotated: false, reason: 'waiting', awaitsPublication: true });
  expect((await verify(await issue())).stdout.trim()).toBe('alice');

  for (const entry of readdirSync(cache)) rmSync(join(cache, entry), { recursive: true });
  expect(await rotate()).toMatchObject({ rotated: true, active: pending });
  expect(await verify(await issue())).toMatchObject({ exitCode: 0, stdout: 'alice\n' });
}, 60_000);

test('without keys.publishUrl, PyJWT refuses the first token of the next key', async () => {
  let isRotated = false;
  // The next key may have to be published first.
  for (let run = 1; run <= 2 && !isRotated; run++) {
    stores.clock.advance(DUE);
    isRotated = (await stores.json('keys', 'rotate')).rotated;
  }
  expect(isRotated).toBe(true);
  const { token } = await stores.json('token', 'issue', '--sub', 'alice');
  const { exitCode, stderr } = await verify(token);
  expect(exitCode).not.toBe(0);
  expect(stderr).toContain('Unable to find a signing key');
}, 60_000);
