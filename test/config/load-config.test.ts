import { homedir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { incompleteStores } from '../../src/config/check-settings.js';
import { Workspace } from './workspace.js';

describe('without any configuration', () => {
  it('every setting has its default or is null', async () => {
    const space = new Workspace();
    const { settings, origins, warnings, profile } = await space.load();
    expect(settings).toMatchObject({
      timeout: 5,
      data: join(space.home, '.local/share/jwtctl/jwtctl.db'),
      token: { issuer: 'jwtctl', audience: 'user', ttl: 3600, maxTtl: 86_400, clockTolerance: 5 },
      keys: { bits: 2048, algorithm: 'RS256', rotateAfter: 2_592_000, publishLead: 600 },
      users: { source: 'managed', table: null, statusTtl: 60 },
      mysql: { url: null, tls: { enabled: false, ca: null } },
      redis: { nodes: null, mode: 'cluster', prefix: 'jwt' },
      registry: { maxPerSubject: null },
    });
    expect(origins['token.ttl'].source).toBe('default');
    expect([warnings, profile]).toEqual([[], null]);
  });

  it('data is under XDG_DATA_HOME if that is absolute', async () => {
    const space = new Workspace();
    const absolute = await space.load({ env: { XDG_DATA_HOME: '/srv/data' } });
    expect(absolute.settings.data).toBe('/srv/data/jwtctl/jwtctl.db');
    const relative = await space.load({ env: { XDG_DATA_HOME: 'data' } });
    expect(relative.settings.data).toBe(join(space.home, '.local/share/jwtctl/jwtctl.db'));
  });

  it("the home folder is the account's if the environment is empty", async () => {
    const { settings } = await new Workspace().load({ homeDir: undefined });
    expect(settings.data).toBe(join(homedir(), '.local/share/jwtctl/jwtctl.db'));
  });
});

describe('precedence', () => {
  it('is argument, flag, variable, project file, user file, system file, default', async () => {
    const space = new Workspace();
    space.write(space.systemFile, 'token: {issuer: system, audience: system}\nredis: {prefix: system}\n');
    space.write(space.userFile, 'token: {issuer: user, audience: user2}\n');
    space.write(space.projectFile, 'token: {issuer: project}\n');
    const issuer = async (more: object) => (await space.load(more)).settings.token.issuer;

    const env = { JWTCTL_TOKEN_ISSUER: 'variable' };
    const flags = { 'token.issuer': 'flag' };
    expect(await issuer({ env, flags, argument: { token: { issuer: 'argument' } } })).toBe('argument');
    expect(await issuer({ env, flags })).toBe('flag');
    expect(await issuer({ env })).toBe('variable');
    expect(await issuer({})).toBe('project');
    const { settings, origins } = await space.load();
    expect([settings.token.audience, settings.redis.prefix, settings.redis.mode]).toEqual([
      'user2',
      'system',
      'cluster',
    ]);
    expect(origins['token.audience']).toEqual({
      source: 'file',
      name: space.userFile,
      line: 1,
      profile: null,
    });
  });

  it('treats an empty variable as unset', async () => {
    const space = new Workspace();
    space.write(space.userFile, 'token: {issuer: user}\n');
    const env = { JWTCTL_TOKEN_ISSUER: '', JWTCTL_PROFILE: '', JWTCTL_CONFIG: '', JWTCTL_NO_SUCH: '' };
    expect((await space.load({ env })).settings.token.issuer).toBe('user');
  });

  it('treats null in a file or an argument as unset', async () => {
    const space = new Workspace();
    space.write(space.userFile, 'token:\n  issuer: ~\nredis:\n');
    const { settings } = await space.load({ argument: { token: { audience: undefined }, mysql: undefined } });
    expect([settings.token.issuer, settings.token.audience]).toEqual(['jwtctl', 'user']);
  });

  it('lets the strongest source choose between alternatives', async () => {
    const space = new Workspace();
    space.write(space.userFile, 'redis: {passwordFile: /run/pw}\nmasterKey: {command: print-key}\n');
    const { settings } = await space.load({
      env: { JWTCTL_REDIS_PASSWORD: 'hunter2', JWTCTL_MASTER_KEY_FILE: '/run/key' },
    });
    expect(settings.redis).toMatchObject({ password: 'hunter2', passwordFile: null });
    expect(settings.masterKey).toEqual({ file: '/run/key', command: null, value: null });
  });

  it('refuses two alternatives from one source', async () => {
    const env = { JWTCTL_REDIS_PASSWORD: 'hunter2', JWTCTL_REDIS_PASSWORD_FILE: '/run/pw' };
    const error = await new Workspace().refusal({ env });
    expect([error.kind, error.code]).toEqual(['usage', 'ERR_CONFIG_VALUE_INVALID']);
    expect(error.message).not.toContain('hunter2');
  });

  it('takes the MySQL password from the stronger one of URL and file', async () => {
    const space = new Workspace();
    space.write(space.userFile, 'mysql: {passwordFile: /run/pw}\n');
    const url = 'mysql://app:hunter2@db/jwt';
    const fromUrl = await space.load({ env: { JWTCTL_MYSQL_URL: url } });
    expect(fromUrl.settings.mysql).toMatchObject({ password: 'hunter2', passwordFile: null });

    space.write(space.userFile, `mysql: {url: '${url}'}\n`);
    const fromFile = await space.load({ env: { JWTCTL_MYSQL_PASSWORD_FILE: '/run/pw' } });
    expect(fromFile.settings.mysql).toMatchObject({ password: null, passwordFile: '/run/pw' });

    space.write(space.userFile, `mysql: {url: '${url}', passwordFile: /run/pw}\n`);
    expect((await space.refusal()).code).toBe('ERR_CONFIG_VALUE_INVALID');
  });

  it('enables TLS if a CA is set', async () => {
    const space = new Workspace();
    const withCa = await space.load({ argument: { redis: { tls: { ca: '/ca.pem' } } } });
    expect(withCa.settings.redis.tls.enabled).toBe(true);
    expect(withCa.settings.mysql.tls.enabled).toBe(false);
    expect(withCa.origins['redis.tls.enabled'].source).toBe('argument');
  });
});

describe('invalid configuration', () => {
  it('names an unknown variable and suggests a similar one', async () => {
    const error = await new Workspace().refusal({ env: { JWTCTL_REDIS_NODE: 'a:1' } });
    expect([error.kind, error.code]).toEqual(['usage', 'ERR_CONFIG_VARIABLE_UNKNOWN']);
    expect(error.message).toContain('JWTCTL_REDIS_NODE ');
    expect(error.message).toContain('did you mean JWTCTL_REDIS_NODES?');
  });

  it.each([
    ['JWTCTL_REDIS_URL', 'JWTCTL_REDIS_NODES'],
    ['JWTCTL_REDIS_HOST', 'JWTCTL_REDIS_NODES'],
    ['JWTCTL_CACHE_URL', 'JWTCTL_REDIS_NODES'],
    ['JWTCTL_DB_URL', 'JWTCTL_MYSQL_URL'],
    ['JWTCTL_DATABASE_URL', 'JWTCTL_MYSQL_URL'],
    ['JWTCTL_MYSQL_DSN', 'JWTCTL_MYSQL_URL'],
    ['JWTCTL_MYSQL_HOST', 'JWTCTL_MYSQL_URL'],
    ['JWTCTL_DB_NAME', 'JWTCTL_MYSQL_URL'],
    ['JWTCTL_ISSUER', 'JWTCTL_TOKEN_ISSUER'],
    ['JWTCTL_AUD', 'JWTCTL_TOKEN_AUDIENCE'],
    ['JWTCTL_TTL', 'JWTCTL_TOKEN_TTL'],
    ['JWTCTL_MASTERKEY', 'JWTCTL_MASTER_KEY'],
    ['JWTCTL_REDIS_USER', 'JWTCTL_REDIS_USERNAME'],
    ['JWTCTL_SQLITE_PATH', 'JWTCTL_DATA'],
  ])('suggests for %s what is called %s here', async (name, suggestion) => {
    const error = await new Workspace().refusal({ env: { [name]: 'x' } });
    expect(error.message).toContain(`did you mean ${suggestion}?`);
  });

  it.each([
    ['redis: {url: x}', 'redis.nodes'],
    ['mysql: {host: x}', 'mysql.url'],
    ['database: {url: x}', 'mysql.url'],
  ])('suggests for %s what is called %s here', async (text, suggestion) => {
    const space = new Workspace();
    space.write(space.userFile, text);
    expect((await space.refusal()).message).toContain(`did you mean ${suggestion}?`);
  });

  it('ignores variables for tests and of other programs', async () => {
    await new Workspace().load({
      env: { JWTCTL_TEST_MYSQL_URL: 'x', jwtctl_token_ttl: 'x', MYJWTCTL_X: 'x' },
    });
  });

  it('names an unknown key with file and line, and suggests a similar one', async () => {
    const space = new Workspace();
    space.write(space.projectFile, '# ours\ntoken:\n  ttl: 1h\n  maxTl: 2h\n');
    const error = await space.refusal();
    expect([error.kind, error.code]).toEqual(['usage', 'ERR_CONFIG_SETTING_UNKNOWN']);
    expect(error.message).toContain(`${space.projectFile}:4:`);
    expect(error.message).toContain('did you mean token.maxTtl?');
  });

  it.each([
    ['tokens: {ttl: 1h}', 'did you mean token?'],
    ['profile: {a: {}}', 'did you mean profiles?'],
    ['profiles: {a: {profiles: {}}}', 'no setting profiles'],
    ['token: {profiles: {}}', 'no setting token.profiles'],
    ['__proto__: {ttl: 1h}', 'no setting __proto__'],
    ['constructor: 1', 'no setting constructor'],
  ])('names an unknown group: %s', async (text, told) => {
    const space = new Workspace();
    space.write(space.projectFile, text);
    const error = await space.refusal();
    expect(error.code).toBe('ERR_CONFIG_SETTING_UNKNOWN');
    expect(error.message).toContain(told);
  });

  it('names an unknown option of a program', async () => {
    const error = await new Workspace().refusal({ argument: { mysql: { host: 'db' } } as object });
    expect(error.code).toBe('ERR_CONFIG_SETTING_UNKNOWN');
    expect(error.message).toContain('mysql.host');
  });

  it('names an invalid setting with its source and the expected form', async () => {
    const space = new Workspace();
    const ofFlag = await space.refusal({ flags: { 'keys.bits': '1024' } });
    expect([ofFlag.kind, ofFlag.code]).toEqual(['usage', 'ERR_CONFIG_VALUE_INVALID']);
    expect(ofFlag.message).toBe(
      "--keys-bits: keys.bits is '1024'; expected a whole number from 2048 to 8192.",
    );
    const ofVariable = await space.refusal({ env: { JWTCTL_REDIS_MODE: 'replica' } });
    expect(ofVariable.message).toBe(
      "JWTCTL_REDIS_MODE: redis.mode is 'replica'; expected one of cluster, standalone, sentinel.",
    );
    space.write(space.userFile, 'keys:\n  bits: many\n');
    expect((await space.refusal()).message).toContain(`${space.userFile}:2: keys.bits is 'many'; expected a`);
    space.write(space.userFile, 'keys: many\n');
    expect((await space.refusal()).message).toContain(
      `${space.userFile}:1: keys cannot have this value; expected a map`,
    );
    space.write(space.userFile, 'keys:\n  bits: [2048]\n');
    expect((await space.refusal()).message).toContain('keys.bits is an array; expected a whole number');
    space.write(space.userFile, '- keys\n');
    expect((await space.refusal()).code).toBe('ERR_CONFIG_VALUE_INVALID');
  });

  it('refuses a setting that a file sets twice, nested and dotted', async () => {
    const space = new Workspace();
    space.write(space.userFile, 'token.maxTtl: 2h\n');
    expect((await space.load()).settings.token.maxTtl).toBe(7200);
    space.write(space.userFile, 'token: {maxTtl: 3h}\ntoken.maxTtl: 2h\n');
    expect((await space.refusal()).code).toBe('ERR_CONFIG_VALUE_INVALID');
  });

  it.each([
    [
      'a standalone Redis with two nodes',
      { redis: { mode: 'standalone', nodes: 'a:1,b:1' } },
      'ERR_CONFIG_VALUE_INVALID',
      'redis.nodes',
    ],
    [
      'a ttl above maxTtl',
      { token: { ttl: '2d' } },
      'ERR_CONFIG_VALUE_INVALID',
      'token.maxTtl (1d, default)',
    ],
    [
      'a user table without a name',
      { users: { source: 'table', column: 'id' } },
      'ERR_CONFIG_INCOMPLETE',
      'JWTCTL_USERS_TABLE',
    ],
    [
      'a user table without a column',
      { users: { source: 'table', table: 'u' } },
      'ERR_CONFIG_INCOMPLETE',
      'JWTCTL_USERS_COLUMN',
    ],
    [
      'a client certificate without its key',
      { mysql: { tls: { cert: '/c' } } },
      'ERR_CONFIG_INCOMPLETE',
      'JWTCTL_MYSQL_TLS_KEY',
    ],
    [
      'a client key without its certificate',
      { redis: { tls: { key: '/k' } } },
      'ERR_CONFIG_INCOMPLETE',
      'JWTCTL_REDIS_TLS_CERT',
    ],
  ] as const)('%s is a contradiction', async (_, argument, code, named) => {
    const error = await new Workspace().refusal({ argument });
    expect([error.kind, error.code]).toEqual(['usage', code]);
    expect(error.message).toContain(named);
  });

  it('loads with only one of the two servers, but reports it as incomplete', async () => {
    const space = new Workspace();
    const missing = async (argument: object) => incompleteStores((await space.load({ argument })).settings);
    const mysql = { url: 'mysql://app@db/jwt' };
    const redis = { nodes: 'a:1' };
    expect(await missing({})).toBeNull();
    expect(await missing({ mysql, redis })).toBeNull();
    const noRedis = await missing({ mysql });
    expect([noRedis?.kind, noRedis?.code]).toEqual(['usage', 'ERR_CONFIG_INCOMPLETE']);
    expect(noRedis?.message).toContain('redis.nodes (JWTCTL_REDIS_NODES) is not');
    expect((await missing({ redis }))?.message).toContain('mysql.url (JWTCTL_MYSQL_URL) is not');
  });
});

describe('a secret', () => {
  it.each([
    ['JWTCTL_MYSQL_URL', 'mysql://app:hunter2@db/jwt?x=1'],
    ['JWTCTL_MYSQL_URL', 'hunter2'],
    ['JWTCTL_REDIS_PASSWORD', 'hunter2\0'],
    ['JWTCTL_REDIS_NODES', 'redis://:hunter2@a:1/5'],
    ['JWTCTL_MASTER_KEY', 'hunter2\0'],
  ])('is not in the message about %s', async (name, value) => {
    const error = await new Workspace().refusal({ env: { [name]: value } });
    expect(error.code).toBe('ERR_CONFIG_VALUE_INVALID');
    expect(JSON.stringify([error.message, error.hint, error.details])).not.toContain('hunter2');
  });

  it.each([
    'redis: {password: *hunter2}',
    'redis: {password: !hunter2 x}',
    'redis: {password: "\\hunter2"}',
    'redis: {password:hunter2}',
    'redis: password:hunter2',
    'redis: {password: [hunter2]}',
    'redis: {password: hunter2',
    'redis: {password: hunter2, password: hunter2}',
  ])('is not in the message about %s', async (text) => {
    const space = new Workspace();
    space.write(space.userFile, text);
    const error = await space.refusal();
    expect(error.kind).toBe('usage');
    expect(JSON.stringify([error.message, error.hint, error.details])).not.toContain('hunter2');
  });

  it('is refused in a flag, which other users see in the process list', async () => {
    const space = new Workspace();
    const error = await space.refusal({ flags: { 'mysql.url': 'mysql://app:hunter2@db/jwt' } });
    expect([error.kind, error.code]).toEqual(['usage', 'ERR_CONFIG_SECRET_IN_FLAG']);
    expect(`${error.message}${error.hint}`).not.toContain('hunter2');
    await space.load({ flags: { 'mysql.url': 'mysql://app@db/jwt' } });
  });

  it('is accepted in a variable and in the options of a program', async () => {
    const space = new Workspace();
    const url = 'mysql://app:hunter2@db/jwt';
    expect((await space.load({ env: { JWTCTL_MYSQL_URL: url } })).settings.mysql.password).toBe('hunter2');
    const { settings } = await space.load({ argument: { mysql: { url }, redis: { password: 'x' } } });
    expect([settings.mysql.password, settings.redis.password]).toEqual(['hunter2', 'x']);
  });
});
