import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { JwtctlError } from '../../src/domain/shared/errors.js';
import { documentPaths } from '../../src/server/discovery.js';
import { CLIENT, clientSetting, servingsOver } from '../support/serving.js';
import { openStores, type Stores } from '../support/stores.js';

const ISSUER = 'https://auth.example.com';
const OPENID = '/.well-known/openid-configuration';
const OAUTH = '/.well-known/oauth-authorization-server';

test('the path of the issuer follows the well-known path (RFC 8414 §3.1)', () => {
  expect(documentPaths(ISSUER)).toEqual([OPENID, OAUTH]);
  expect(documentPaths(`${ISSUER}/`)).toEqual([OPENID, OAUTH]);
  expect(documentPaths(`${ISSUER}/a/b`)).toEqual([OPENID, OAUTH, `${OPENID}/a/b`, `${OAUTH}/a/b`]);
});

describe('the discovery documents', () => {
  let stores: Stores;

  beforeAll(async () => {
    stores = await openStores('SQLite');
    await stores.json('keys', 'generate', '--alg', 'PS256');
  });
  afterAll(() => stores?.close());

  const serving = servingsOver(() => stores);

  test('do not exist without serve.publicUrl', async () => {
    const { app } = await serving();
    for (const url of [OPENID, OAUTH]) expect((await app.inject({ url })).statusCode).toBe(404);
  });

  test('name the issuer, the JWK Set, and the endpoints that a client may use', async () => {
    const clients = [clientSetting(CLIENT, { may: ['introspect', 'revoke'] })];
    const { app } = await serving({ publicUrl: ISSUER, clients });
    for (const url of [OPENID, OAUTH]) {
      const { statusCode, headers, json } = await app.inject({ url });
      expect(statusCode).toBe(200);
      expect(headers['content-type']).toMatch(/^application\/json/);
      expect(headers['cache-control']).toBe('public, max-age=300');
      expect(json()).toEqual({
        issuer: ISSUER,
        jwks_uri: `${ISSUER}/.well-known/jwks.json`,
        introspection_endpoint: `${ISSUER}/introspect`,
        introspection_endpoint_auth_methods_supported: ['client_secret_basic'],
        revocation_endpoint: `${ISSUER}/revoke`,
        revocation_endpoint_auth_methods_supported: ['client_secret_basic'],
        response_types_supported: ['none'],
        subject_types_supported: ['public'],
        id_token_signing_alg_values_supported: ['RS256', 'PS256'],
      });
    }
  });

  test('name no endpoint without clients', async () => {
    const { app } = await serving({ publicUrl: ISSUER, clients: null });
    const members = Object.keys((await app.inject({ url: OAUTH })).json());
    expect(members.filter((member) => member.includes('endpoint'))).toEqual([]);
  });

  test('every URL leads to an endpoint of the server', async () => {
    const { app } = await serving({ publicUrl: `${ISSUER}/auth` });
    const metadata = (await app.inject({ url: `${OAUTH}/auth` })).json();
    expect(metadata.issuer).toBe(`${ISSUER}/auth`);
    const urls = Object.entries(metadata).filter(([name]) => /_(endpoint|uri)$/.test(name));
    expect(urls.length).toBeGreaterThan(2);
    for (const [name, url] of urls) {
      const path = String(url).slice(`${ISSUER}/auth`.length);
      const method = name === 'jwks_uri' ? 'GET' : 'POST';
      expect({ path, status: (await app.inject({ method, url: path })).statusCode }).not.toMatchObject({
        status: 404,
      });
    }
  });

  test.each([
    ['/:tenant', '/:tenant', '/other'],
    ['/a*b', '/a*b', '/axb'],
    ['/t(\\d+)', '/t(/d+)', '/t1'],
    ['/m%C3%BCnchen', '/m%C3%BCnchen', '/munchen'],
    ['/münchen', '/m%C3%BCnchen', '/munchen'],
  ])('the path %s of the issuer means only itself', async (path, asked, other) => {
    const { app } = await serving({ publicUrl: `${ISSUER}${path}` });
    for (const document of [OPENID, OAUTH]) {
      const { statusCode, json } = await app.inject({ url: `${document}${asked}?a=b` });
      expect([statusCode, json().issuer]).toEqual([200, `${ISSUER}${path}`]);
      expect((await app.inject({ url: `${document}${other}` })).statusCode).toBe(404);
    }
  });

  test('serve.publicUrl must equal token.issuer, and be a URL that clients can trust', async () => {
    const validate = (url: string, issuer: string) =>
      stores.run('keys', 'list', '--json', '--serve-public-url', url, '--token-issuer', issuer);
    expect((await validate(ISSUER, ISSUER)).exitCode).toBe(0);
    expect((await validate('http://127.0.0.1:8787', 'http://127.0.0.1:8787')).exitCode).toBe(0);
    for (const [url, issuer] of [
      [ISSUER, 'jwtctl'],
      [ISSUER, `${ISSUER}/`],
      ...['http://auth.example.com', 'http://localhost.example.com', 'ftp://x', 'auth.example.com'].map(
        (wrong) => [wrong, wrong],
      ),
      ...[`${ISSUER}?a=b`, `${ISSUER}#a`, 'https://user:pw@example.com', 'https://', `${ISSUER}:99999`].map(
        (wrong) => [...[wrong, wrong]],
      ),
    ] as [string, string][]) {
      const { exitCode, error } = await validate(url, issuer);
      expect({ url, exitCode, code: error().code }).toEqual({
        ...{ url, exitCode: 2, code: 'ERR_CONFIG_VALUE_INVALID' },
      });
    }
  });

  test('an unreachable store answers 503', async () => {
    const { app } = await serving({
      publicUrl: ISSUER,
      verifier: {
        jwkSet: async () => {
          throw new JwtctlError('ERR_MYSQL_UNREACHABLE', 'MySQL does not answer.');
        },
      },
    });
    expect((await app.inject({ url: OPENID })).statusCode).toBe(503);
  });
});
