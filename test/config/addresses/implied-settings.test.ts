import { describe, expect, it } from 'vitest';
import { Workspace } from '../workspace.js';

describe('an address that contains other settings', () => {
  it('sets them, with its origin', async () => {
    const env = {
      JWTCTL_MYSQL_URL: 'mysql://app@db/jwt?ssl-mode=REQUIRED',
      JWTCTL_REDIS_NODES: 'rediss://app:hunter2@cache:1',
    };
    const { settings, origins } = await new Workspace().load({ env });
    expect(settings.mysql).toMatchObject({ url: 'mysql://app@db/jwt', tls: { enabled: true } });
    expect(settings.redis).toMatchObject({
      nodes: [{ host: 'cache', port: 1 }],
      ...{ username: 'app', password: 'hunter2', tls: { enabled: true } },
    });
    expect(origins['redis.password'].name).toBe('JWTCTL_REDIS_NODES');
  });

  it('does not give its password to the address of a stronger source', async () => {
    const space = new Workspace();
    space.write(space.userFile, "redis: {nodes: 'rediss://app:hunter2@prod:1'}\n");
    const { settings } = await space.load({ env: { JWTCTL_REDIS_NODES: 'other:1' } });
    expect(settings.redis).toMatchObject({ username: null, password: null, tls: { enabled: false } });
  });

  it('loses to a stronger source, and wins over a weaker one', async () => {
    const space = new Workspace();
    space.write(space.userFile, "redis: {nodes: 'rediss://:hunter2@prod:1'}\n");
    space.write(space.systemFile, 'redis: {passwordFile: /run/pw, tls: {enabled: false}}\n');
    expect((await space.load()).settings.redis).toMatchObject({
      ...{ password: 'hunter2', passwordFile: null, tls: { enabled: true } },
    });
    const { settings } = await space.load({ env: { JWTCTL_REDIS_PASSWORD_FILE: '/run/pw2' } });
    expect(settings.redis).toMatchObject({ password: null, passwordFile: '/run/pw2' });
  });

  it.each([
    [{ JWTCTL_REDIS_NODES: 'redis://app:x@a:1', JWTCTL_REDIS_USERNAME: 'other' }, 'redis.username'],
    [{ JWTCTL_REDIS_NODES: 'redis://:x@a:1', JWTCTL_REDIS_PASSWORD_FILE: '/run/pw' }, 'redis.passwordFile'],
    [{ JWTCTL_REDIS_NODES: 'rediss://a:1', JWTCTL_REDIS_TLS_ENABLED: 'false' }, 'redis.tls.enabled'],
    [
      { JWTCTL_MYSQL_URL: 'mysql://app@db/jwt?ssl-mode=DISABLED', JWTCTL_MYSQL_TLS_ENABLED: 'true' },
      'mysql.tls.enabled',
    ],
  ])('is refused if the same source sets them to something else: %j', async (env, setting) => {
    const error = await new Workspace().refusal({ env });
    expect([error.code, error.message]).toEqual([
      'ERR_CONFIG_VALUE_INVALID',
      expect.stringContaining(setting),
    ]);
  });

  it('of Sentinels sets the mode and the master', async () => {
    const env = { JWTCTL_REDIS_NODES: 'redis-sentinel://a:1,b:2?sentinelMasterId=m' };
    const { settings } = await new Workspace().load({ env });
    expect(settings.redis).toMatchObject({ mode: 'sentinel', sentinelMaster: 'm' });
  });

  it('of Sentinels without a master names the setting', async () => {
    const error = await new Workspace().refusal({ env: { JWTCTL_REDIS_NODES: 'redis-sentinel://a:1' } });
    expect([error.code, error.message]).toEqual([
      'ERR_CONFIG_INCOMPLETE',
      expect.stringContaining('redis.sentinelMaster'),
    ]);
  });

  it('with a password is refused in a flag', async () => {
    const error = await new Workspace().refusal({ flags: { 'redis.nodes': 'redis://:hunter2@a:1' } });
    expect([error.code, error.hint]).toEqual([
      'ERR_CONFIG_SECRET_IN_FLAG',
      expect.stringContaining('redis.passwordFile'),
    ]);
  });

  it.each([
    ["mysql: {url: 'mysql://root@localhost/jwt?socket=/run/mysqld/mysqld.sock'}", 'mysql.url with a socket'],
    ["mysql: {url: 'mysql://app@db/jwt?ssl-mode=DISABLED'}", 'mysql.url with TLS turned off'],
    ["redis: {nodes: 'redis://:hunter2@a:1'}", 'redis.nodes with a password'],
    ["redis: {nodes: 'redis://app:@a:1'}", 'redis.nodes with a user'],
    ["redis: {nodes: 'redis-sentinel://a:1#m'}", 'redis.nodes with the name of a master'],
  ])('is limited in a project file: %s', async (text, what) => {
    const space = new Workspace();
    space.write(space.projectFile, text);
    const error = await space.refusal();
    expect([error.code, error.message]).toEqual([
      'ERR_CONFIG_FORBIDDEN_IN_PROJECT_FILE',
      expect.stringContaining(`cannot set ${what}.`),
    ]);
  });

  it('may turn TLS on in a project file', async () => {
    const space = new Workspace();
    space.write(space.projectFile, "mysql: {url: 'mysql://app@db/jwt?ssl-mode=REQUIRED'}");
    expect((await space.load()).settings.mysql.tls.enabled).toBe(true);
  });
});

describe('TLS that is turned off', () => {
  it.each([
    ['mysql: {tls: {enabled: false, ca: /ca.pem}}', ['mysql.tls.enabled', 'mysql.tls.ca']],
    ['redis: {tls: {enabled: false, ca: /ca.pem}}', ['redis.tls.enabled', 'redis.tls.ca']],
    [
      'redis: {tls: {enabled: false, cert: /c.pem, key: /k.pem}}',
      ['redis.tls.enabled', 'redis.tls.cert', 'redis.tls.key'],
    ],
    [
      "mysql: {url: 'mysql://app@db/jwt?ssl-mode=DISABLED', tls: {ca: /ca.pem}}",
      ['mysql.tls.enabled', 'mysql.tls.ca'],
    ],
  ])('contradicts a file for TLS: %s', async (text, settings) => {
    const space = new Workspace();
    space.write(space.userFile, text);
    const error = await space.refusal();
    expect(error).toMatchObject({ code: 'ERR_CONFIG_VALUE_INVALID', details: { settings } });
    for (const name of settings) expect(error.message).toContain(name);
  });

  it('contradicts a file for TLS from another source, too', async () => {
    const space = new Workspace();
    space.write(space.userFile, 'redis: {tls: {ca: /ca.pem}}');
    const error = await space.refusal({ env: { JWTCTL_REDIS_TLS_ENABLED: 'false' } });
    for (const part of ['JWTCTL_REDIS_TLS_ENABLED', 'redis.tls.ca', space.userFile])
      expect(error.message).toContain(part);
  });
});

describe('variables of other programs', () => {
  it.each([
    [{ REDIS_URL: 'redis://a' }, ['REDIS_URL']],
    [{ MYSQL_URL: 'mysql://a@b/c', REDIS_HOST: 'b' }, ['MYSQL_URL', 'REDIS_HOST']],
    [{ DATABASE_URL: 'mysql2://a@b/c' }, ['DATABASE_URL']],
    [{ MYSQL_HOST: 'b' }, ['MYSQL_HOST']],
    [{ DATABASE_URL: 'postgres://a@b/c' }, []],
    [{ MYSQL_URL: '' }, []],
    [{ REDIS_URL: 'x', JWTCTL_MYSQL_URL: 'mysql://a@b/c', JWTCTL_REDIS_NODES: 'a:1' }, []],
    [{ REDIS_URL: 'x', JWTCTL_DATA: '/srv/x.db' }, []],
  ])('are named if they are set and a store is not: %j', async (env, names) => {
    const { warnings } = await new Workspace().load({ env });
    expect(warnings.map((warning) => warning.split(' ')[0])).toEqual(names);
    expect(warnings.every((warning) => warning.includes('JWTCTL_'))).toBe(true);
  });
});
