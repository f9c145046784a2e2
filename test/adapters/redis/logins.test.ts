import { readFileSync } from 'node:fs';
import { Redis } from 'ioredis';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { redisNodes, startRedis } from '../../support/servers.js';
import { attempt, parseNode } from './registry-under-test.js';

const PASSWORD = 'correct-horse-battery-staple';

describe('logins', () => {
  let server: Awaited<ReturnType<typeof startRedis>>;
  beforeAll(async () => {
    server = await startRedis({ user: { password: PASSWORD } });
  });
  afterAll(() => server.stop());

  test.each([
    ['no password', {}],
    ['a wrong password', { password: 'wrong-secret' }],
    ['an unknown user', { username: 'zoe', password: 'wrong-secret' }],
  ])('%s is refused', async (_, login) => {
    const { codes, text } = await attempt([server.node], { mode: 'standalone', ...login });
    expect(codes).toEqual(['unavailable ERR_REDIS_AUTH']);
    expect(text).not.toContain('wrong-secret');
    expect(text).toContain('redis.passwordFile');
  });

  test('a cluster refuses a wrong password too', async () => {
    const { codes, text } = await attempt(redisNodes(), { username: 'zoe', password: 'wrong-secret' });
    expect(codes).toEqual(['unavailable ERR_REDIS_AUTH']);
    expect(text).not.toContain('wrong-secret');
  });

  test('the right password works and prints nothing to the console', async () => {
    const warn = vi.spyOn(console, 'warn');
    expect((await attempt([server.node], { mode: 'standalone', password: PASSWORD })).codes).toEqual([
      'none',
    ]);
    // A password that the default user does not need.
    expect((await attempt(redisNodes(), { password: 'unneeded' })).codes).toEqual(['none']);
    expect(warn).not.toHaveBeenCalled();
  });

  test('the error names a missing permission', async () => {
    const { host, port } = parseNode(server.node);
    await aclSetUser(host, port, 'limited', '+@all -zmscore -scan -info -evalsha -eval');
    const { codes, text } = await attempt([server.node], {
      mode: 'standalone',
      username: 'limited',
      password: 'pw',
    });
    expect(codes).toContain('unavailable ERR_REDIS_FORBIDDEN');
    expect(text).toContain('ACL SETUSER limited +zmscore');
  });

  async function aclSetUser(host: string, port: number, name: string, rules: string): Promise<void> {
    const client = new Redis({ host, port, username: 'default', password: PASSWORD, protocol: 2 });
    await client.call('ACL', 'SETUSER', name, 'on', '>pw', '~*', '&*', ...rules.split(' '));
    client.disconnect();
  }
});

describe('TLS', () => {
  test.each([
    ['on', false],
    ['clients-authenticate', true],
  ] as const)('%s: the CA is trusted when given, and refused when not', async (tls, needsCertificate) => {
    const server = await startRedis({ tls, user: { name: 'jwtctl', password: PASSWORD } });
    try {
      const ca = readFileSync(server.tls?.ca ?? '', 'utf8');
      const read = (name: 'cert' | 'key') => readFileSync(server.tls?.[name] ?? '', 'utf8');
      const client = needsCertificate ? { cert: read('cert'), key: read('key') } : {};
      const login = { mode: 'standalone', username: 'jwtctl', password: PASSWORD } as const;
      for (const node of [server.node, `localhost:${server.port}`]) {
        const { codes } = await attempt([node], { ...login, tls: { ca, ...client } });
        expect(codes).toEqual(['none']);
      }
      const distrusted = await attempt([server.node], { ...login, tls: {} });
      expect(distrusted.codes).toEqual(['unavailable ERR_REDIS_TLS']);
      if (needsCertificate) {
        const anonymous = await attempt([server.node], { ...login, tls: { ca } });
        expect(anonymous.codes).toEqual(['unavailable ERR_REDIS_TLS']);
      }
    } finally {
      await server.stop();
    }
  });
});
