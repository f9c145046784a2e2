import { chmodSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { SETTINGS, type SettingsInput } from '../../src/config/settings.js';
import { showConfig, validateConfig } from '../../src/config/show-config.js';
import { makeCertificateAuthority } from '../support/certificates.js';
import { Workspace } from './workspace.js';

describe('showing the configuration', () => {
  it('lists every setting in order, with value, origin, variable and flag', async () => {
    const space = new Workspace();
    space.write(space.userFile, 'token:\n  ttl: 90m\n');
    const shown = showConfig(
      await space.load({ env: { JWTCTL_REDIS_NODES: 'a:1,[::1]' }, flags: { 'keys.bits': '3072' } }),
    );
    expect(shown.map(({ setting }) => setting)).toEqual(SETTINGS.map(({ path }) => path));
    const find = (name: string) => shown.find(({ setting }) => setting === name);
    expect(find('token.ttl')).toMatchObject({
      value: 5400,
      text: '1h30m',
      origin: `${space.userFile}:2`,
      variable: 'JWTCTL_TOKEN_TTL',
      flag: '--token-ttl',
    });
    expect(find('redis.nodes')).toMatchObject({
      value: ['a:1', '[::1]:6379'],
      text: 'a:1,[::1]:6379',
      origin: 'JWTCTL_REDIS_NODES',
    });
    expect(find('keys.bits')).toMatchObject({ value: 3072, text: '3072', origin: '--keys-bits' });
    expect(find('users.table')).toMatchObject({ value: null, text: '', origin: 'default' });
  });

  it('masks every secret', async () => {
    const config = await new Workspace().load({
      argument: {
        mysql: { url: 'mysql://app:hunter2@db:3307/jwt' },
        redis: { password: 'hunter2', natMap: { 'a:1': 'b:2' } },
        masterKey: { value: 'hunter2' },
      },
    });
    const shown = showConfig(config);
    expect(JSON.stringify(shown)).not.toContain('hunter2');
    const value = (name: string) => shown.find(({ setting }) => setting === name)?.value;
    expect(value('redis.password')).toBe('********');
    expect(value('masterKey.value')).toBe('********');
    expect(value('mysql.url')).toBe('mysql://app@db:3307/jwt');
    expect(value('mysql.password')).toBe('********');
    expect(value('redis.natMap')).toEqual({ 'a:1': 'b:2' });
  });
});

describe('validating the configuration', () => {
  const codes = async (space: Workspace, more: object) =>
    (await validateConfig(space.sources(more))).problems.map(({ code }) => code);

  it('accepts an empty configuration', async () => {
    expect(await validateConfig(new Workspace().sources())).toMatchObject({ problems: [], warnings: [] });
  });

  it('names all problems, not just the first', async () => {
    const space = new Workspace();
    space.write(space.projectFile, 'token: {ttl: never}\nnone: 1\n');
    space.write(space.userFile, 'a: [\n');
    expect(await codes(space, { env: { JWTCTL_NONE: '1' }, flags: { 'keys.bits': '1' } })).toEqual([
      'ERR_CONFIG_VALUE_INVALID',
      'ERR_CONFIG_VARIABLE_UNKNOWN',
      'ERR_CONFIG_VALUE_INVALID',
      'ERR_CONFIG_SETTING_UNKNOWN',
      'ERR_CONFIG_SYNTAX',
    ]);
  });

  it('finds contradictions and a missing server', async () => {
    const argument = { token: { ttl: '2d' } };
    expect(await codes(new Workspace(), { argument })).toEqual(['ERR_CONFIG_VALUE_INVALID']);
    expect(await codes(new Workspace(), { argument: { redis: { nodes: 'a' } } })).toEqual([
      'ERR_CONFIG_INCOMPLETE',
    ]);
  });

  it('reports no contradiction of settings that could not be read', async () => {
    const argument = { token: { ttl: '2d', maxTtl: 'never' } };
    expect(await codes(new Workspace(), { argument })).toEqual(['ERR_CONFIG_VALUE_INVALID']);
  });

  it('reports named files that cannot be read', async () => {
    const space = new Workspace();
    const there = space.write(`${space.root}/there`, 'x');
    const argument = {
      mysql: { passwordFile: there, tls: { ca: `${space.root}/none`, cert: there, key: space.home } },
      redis: { passwordFile: `${there}/below` },
      masterKey: { file: `${space.root}/none` },
    };
    const { problems } = await validateConfig(space.sources({ argument }));
    expect(problems.map(({ code, details }) => [code, details.setting])).toEqual([
      ['ERR_CONFIG_FILE_MISSING', 'mysql.tls.ca'],
      ['ERR_CONFIG_FILE_UNREADABLE', 'mysql.tls.key'],
      ['ERR_CONFIG_FILE_MISSING', 'redis.passwordFile'],
      ['ERR_CONFIG_FILE_MISSING', 'masterKey.file'],
    ]);
  });

  it('reports secret files that other users can write to, as opening the stores does', async () => {
    const space = new Workspace();
    const secret = space.write(`${space.root}/secret`, 'x');
    chmodSync(secret, 0o666);
    const argument = { mysql: { passwordFile: secret }, masterKey: { file: secret } };
    const { problems } = await validateConfig(space.sources({ argument }));
    expect(problems.map(({ code, details }) => [code, details.file])).toEqual([
      ['ERR_CONFIG_FILE_UNSAFE', secret],
      ['ERR_CONFIG_FILE_UNSAFE', secret],
    ]);
    chmodSync(secret, 0o644);
    const readable = await validateConfig(space.sources({ argument }));
    expect([readable.problems, readable.warnings.length]).toEqual([[], 2]);
  });

  it('finds CA files that other users can write to, because they could add their own CA', async () => {
    const space = new Workspace();
    const pem = readFileSync(makeCertificateAuthority('a test').file, 'utf8');
    const ca = space.write(`${space.root}/ca.pem`, pem, 0o666);
    const argument = { mysql: { tls: { ca } } };
    const { problems } = await validateConfig(space.sources({ argument }));
    expect(problems.map(({ code, details }) => [code, details.setting])).toEqual([
      ['ERR_CONFIG_FILE_UNSAFE', 'mysql.tls.ca'],
    ]);
    chmodSync(ca, 0o644);
    expect(await validateConfig(space.sources({ argument }))).toMatchObject({ problems: [], warnings: [] });
  });

  it.each([
    ['MySQL at db.example.com:3307 is', { mysql: { url: 'mysql://a:b@db.example.com:3307/c' } }],
    ['MySQL at [2001:db8::1] is', { mysql: { url: 'mysql://a@[2001:db8::1]/c' } }],
    ['MySQL at 127.0.0.1.example.com is', { mysql: { url: 'mysql://a@127.0.0.1.example.com/c' } }],
    ['MySQL at localhost.example.com is', { mysql: { url: 'mysql://a@localhost.example.com/c' } }],
    ['MySQL at 0.0.0.0 is', { mysql: { url: 'mysql://a@0.0.0.0/c' } }],
    ['Redis at b:6379 is', { redis: { nodes: '127.0.0.1,b', password: 'x' } }],
    ['Redis at c:2 is', { redis: { nodes: '[::1]', natMap: { 'a:1': 'c:2' }, password: 'x' } }],
  ])('warns that %s reached without TLS', async (subject, { mysql, redis }: SettingsInput) => {
    const argument = {
      mysql: { url: 'mysql://a@127.0.0.1/c', ...mysql },
      redis: { nodes: '127.0.0.1', ...redis },
    };
    expect(await validateConfig(new Workspace().sources({ argument }))).toMatchObject({
      problems: [],
      warnings: [expect.stringContaining(`${subject} reached without TLS`)],
    });
    const tls = { enabled: true };
    const overTls = { mysql: { ...argument.mysql, tls }, redis: { ...argument.redis, tls } };
    const { warnings } = await validateConfig(new Workspace().sources({ argument: overTls }));
    expect(warnings).toEqual([]);
  });

  it.each(['127.0.0.1', '127.8.9.10', '[::1]', '[::ffff:127.0.0.1]', 'LOCALHOST'])(
    'does not warn if the stores are on %s without TLS',
    async (host) => {
      const argument = { mysql: { url: `mysql://a:b@${host}/c` }, redis: { nodes: host, password: 'x' } };
      const verdict = await validateConfig(new Workspace().sources({ argument }));
      expect(verdict).toMatchObject({ problems: [], warnings: [] });
    },
  );

  it('does not warn of a Redis without a password', async () => {
    const argument = { mysql: { url: 'mysql://a@localhost/c' }, redis: { nodes: 'elsewhere' } };
    const verdict = await validateConfig(new Workspace().sources({ argument }));
    expect(verdict).toMatchObject({ problems: [], warnings: [] });
  });

  it('checks the keyring file next to the embedded store once it exists', async () => {
    const space = new Workspace();
    const argument = { data: `${space.root}/store.db` };
    expect(await codes(space, { argument })).toEqual([]);
    space.write(`${space.root}/store.db.master-key`, 'x', 0o622);
    expect(await codes(space, { argument })).toEqual(['ERR_CONFIG_FILE_UNSAFE']);
    expect(await codes(space, { argument: { ...argument, masterKey: { value: 'x' } } })).toEqual([]);
  });
});
