import { chmodSync, mkdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { Workspace } from '../workspace.js';

describe('the project file', () => {
  it('is the nearest one from the working directory upward; others are ignored', async () => {
    const space = new Workspace();
    space.write(space.projectFile, 'token: {issuer: far, audience: far}\n');
    expect((await space.load()).settings.token.issuer).toBe('far');
    const near = space.write(join(space.cwd, 'jwtctl.yml'), 'token: {issuer: near}\n');
    const { settings, files } = await space.load();
    expect([settings.token.issuer, settings.token.audience]).toEqual(['near', 'user']);
    expect(files).toEqual([
      { kind: 'project', path: near, exists: true },
      { kind: 'user', path: space.userFile, exists: false },
      { kind: 'system', path: space.systemFile, exists: false },
    ]);
  });

  it('may be JSON, even indented with tabs', async () => {
    const space = new Workspace();
    space.write(join(space.cwd, 'jwtctl.json'), '{\n\t"token": {\n\t\t"issuer": "json"\n\t}\n}\n');
    expect((await space.load()).settings.token.issuer).toBe('json');
  });

  it('causes a warning if there is another one next to it', async () => {
    const space = new Workspace();
    space.write(join(space.cwd, 'jwtctl.json'), '{}');
    space.write(join(space.cwd, 'jwtctl.yaml'), 'token: {issuer: yaml}\n');
    const { settings, warnings } = await space.load();
    expect(settings.token.issuer).toBe('yaml');
    expect(warnings).toHaveLength(1);
    expect(warnings[0]).toContain('jwtctl.json');
  });

  it('is not a folder with that name', async () => {
    const space = new Workspace();
    mkdirSync(join(space.cwd, 'jwtctl.yaml'));
    space.write(space.projectFile, 'token: {issuer: file}\n');
    expect((await space.load()).settings.token.issuer).toBe('file');
  });

  it.each([
    ['masterKey.command', 'masterKey:\n  command: steal\n'],
    ['users.enabledWhere', 'users:\n  enabledWhere: "1=1"\n'],
    ['masterKey.value', 'masterKey:\n  value: hunter2\n'],
    ['redis.password', 'redis:\n  password: hunter2\n'],
    ['mysql.url', 'mysql:\n  url: mysql://app:hunter2@db/jwt\n'],
    ['redis.password', 'profiles: {unused:\n {redis: {password: hunter2}}}\n'],
  ])('cannot set %s if it is a secret or a command', async (path, text) => {
    const space = new Workspace();
    space.write(space.projectFile, text);
    const error = await space.refusal();
    expect([error.kind, error.code]).toEqual(['usage', 'ERR_CONFIG_FORBIDDEN_IN_PROJECT_FILE']);
    expect(error.message).toContain(`${space.projectFile}:2`);
    expect(error.message).toContain(path);
    expect(error.hint).toContain(space.userFile);
    expect(`${error.message}${error.hint}`).not.toContain('hunter2');
  });
});

describe('a configuration file', () => {
  it.each(['userFile', 'systemFile', 'projectFile'] as const)(
    'is refused if other users can write to it, whatever its contents: %s',
    async (place) => {
      const space = new Workspace();
      for (const [fileMode, folderMode] of [
        [0o620, 0o755],
        [0o602, 0o755],
        [0o644, 0o777],
        [0o644, 0o775],
      ] as const) {
        space.write(space[place], 'token: {issuer: a}\n', fileMode);
        chmodSync(dirname(space[place]), folderMode);
        const error = await space.refusal();
        expect([error.kind, error.code]).toEqual(['usage', 'ERR_CONFIG_FILE_UNSAFE']);
        expect(error.message).toContain(space[place]);
      }
      chmodSync(dirname(space[place]), 0o755);
      space.write(space[place], 'token: {issuer: a}\n', 0o644);
      expect(await space.load()).toMatchObject({ warnings: [], settings: { token: { issuer: 'a' } } });
    },
  );

  it('is refused if it is larger than a megabyte', async () => {
    const space = new Workspace();
    space.write(space.userFile, '#'.repeat(1_100_000));
    expect((await space.refusal()).code).toBe('ERR_CONFIG_FILE_UNREADABLE');
  });
});

describe('a file with a secret or a command', () => {
  const CONTENTS = [
    'redis: {password: hunter2}\n',
    'masterKey: {command: print-key}\n',
    'mysql: {url: mysql://a:hunter2@d/j}\n',
  ];

  it.each(CONTENTS)('is refused if other users can write to it: %s', async (text) => {
    const space = new Workspace();
    for (const mode of [0o620, 0o602, 0o666]) {
      space.write(space.userFile, text, mode);
      const error = await space.refusal();
      expect([error.kind, error.code]).toEqual(['usage', 'ERR_CONFIG_FILE_UNSAFE']);
      expect(error.message).toContain(space.userFile);
      expect(error.hint).toContain(`chmod 600 ${space.userFile}`);
      expect(error.message).not.toContain('hunter2');
    }
  });

  it.each(CONTENTS)('causes a warning if other users can read it: %s', async (text) => {
    const space = new Workspace();
    for (const mode of [0o640, 0o604]) {
      space.write(space.systemFile, text, mode);
      const { warnings } = await space.load();
      expect(warnings).toEqual([expect.stringContaining(`chmod 600 ${space.systemFile}`)]);
      expect(warnings[0]).not.toContain('hunter2');
    }
    space.write(space.systemFile, text, 0o600);
    expect((await space.load()).warnings).toEqual([]);
  });

  it('may be readable by others if it has no secret but users.enabledWhere', async () => {
    const space = new Workspace();
    space.write(space.systemFile, 'users:\n  enabledWhere: is_active = 1\n', 0o644);
    expect((await space.load()).warnings).toEqual([]);
  });

  it('is checked even if only an unused profile has the secret', async () => {
    const space = new Workspace();
    space.write(space.userFile, 'profiles: {a: {redis: {password: hunter2}}}\n', 0o622);
    expect((await space.refusal()).code).toBe('ERR_CONFIG_FILE_UNSAFE');
  });
});

describe('--config', () => {
  it('is the only file read, and may set what a user file may set', async () => {
    const space = new Workspace();
    space.write(space.projectFile, 'token: {issuer: project}\n');
    space.write(space.userFile, 'token: {audience: user2}\n');
    const path = space.write(join(space.cwd, 'own.yaml'), 'redis: {password: hunter2}\n');
    const { settings, files } = await space.load({ configFile: 'own.yaml', env: { JWTCTL_CONFIG: '/none' } });
    expect(settings.token).toMatchObject({ issuer: 'jwtctl', audience: 'user' });
    expect(settings.redis.password).toBe('hunter2');
    expect(files).toEqual([{ kind: 'explicit', path, exists: true }]);
  });

  it('can also come from its variable', async () => {
    const space = new Workspace();
    space.write(join(space.home, 'own.yaml'), 'token: {issuer: own}\n');
    const { settings } = await space.load({ env: { JWTCTL_CONFIG: '~/own.yaml' } });
    expect(settings.token.issuer).toBe('own');
  });

  it('must name an existing, readable file', async () => {
    const space = new Workspace();
    const missing = await space.refusal({ configFile: 'none.yaml' });
    expect([missing.kind, missing.code]).toEqual(['usage', 'ERR_CONFIG_FILE_MISSING']);
    expect(missing.message).toContain(join(space.cwd, 'none.yaml'));
    const folder = await space.refusal({ configFile: '.' });
    expect([folder.kind, folder.code]).toEqual(['usage', 'ERR_CONFIG_FILE_UNREADABLE']);
  });
});

describe('a path in a file', () => {
  it('is relative to that file; in a variable, flag, or argument, to the working directory', async () => {
    const space = new Workspace();
    space.write(space.userFile, 'mysql: {tls: {ca: tls/ca.pem}}\nredis: {passwordFile: ~/pw}\n');
    const { settings } = await space.load({
      env: { JWTCTL_DATA: 'a.db' },
      flags: { 'redis.tls.ca': 'ca.pem' },
      argument: { masterKey: { file: 'key' } },
    });
    expect(settings.mysql.tls.ca).toBe(join(dirname(space.userFile), 'tls/ca.pem'));
    expect(settings.redis.passwordFile).toBe(join(space.home, 'pw'));
    expect(settings.data).toBe(join(space.cwd, 'a.db'));
    expect(settings.redis.tls.ca).toBe(join(space.cwd, 'ca.pem'));
    expect(settings.masterKey.file).toBe(join(space.cwd, 'key'));
  });
});

describe('YAML', () => {
  it.each([
    ['a tab as indentation', 'token:\n\tttl: 1h\n', '2:1'],
    ['a key given twice', 'token: {}\nkeys: {}\ntoken: {}\n', '3:1'],
    ['an alias to nothing', 'token:\n  issuer: *missing\n', '2:11'],
    ['an unknown tag', 'token:\n  issuer: !vault x\n', '2:11'],
    ['two documents', 'token: {}\n---\nkeys: {}\n', '2:1'],
    ['an open bracket', 'redis:\n  nodes: [a\n', '3:1'],
  ])('is refused with file, line and column for %s', async (_, text, at) => {
    const space = new Workspace();
    space.write(space.userFile, text);
    const error = await space.refusal();
    expect([error.kind, error.code]).toEqual(['usage', 'ERR_CONFIG_SYNTAX']);
    expect(error.message).toContain(`${space.userFile}:${at}:`);
  });

  it('with exponentially expanding aliases is refused', async () => {
    const space = new Workspace();
    const bomb = ['a: &a [x, x, x, x, x, x, x, x, x]'];
    for (const [from, to] of ['ab', 'bc', 'cd', 'de', 'ef'])
      bomb.push(`${to}: &${to} [${`*${from}, `.repeat(9)}]`);
    space.write(space.userFile, bomb.join('\n'));
    expect((await space.refusal()).code).toBe('ERR_CONFIG_SYNTAX');
  });

  it('may be empty, and may use anchors', async () => {
    const space = new Workspace();
    space.write(space.systemFile, '# nothing yet\n');
    space.write(space.userFile, 'redis: &r {prefix: a}\nprofiles: {b: {redis: *r}}\n');
    expect((await space.load({ profile: 'b' })).settings.redis.prefix).toBe('a');
  });

  it('accepts lists and maps where a variable has text', async () => {
    const space = new Workspace();
    space.write(
      space.userFile,
      'redis:\n  nodes:\n    - 10.0.0.1:7000\n    - "[::1]"\n  natMap:\n    10.0.0.1:7000: gw:1\n',
    );
    const { redis } = (await space.load()).settings;
    expect(redis.nodes).toEqual([
      { host: '10.0.0.1', port: 7000 },
      { host: '::1', port: 6379 },
    ]);
    expect(redis.natMap).toEqual({ '10.0.0.1:7000': { host: 'gw', port: 1 } });
  });
});

describe('a profile', () => {
  const BASE =
    'token: {issuer: base, audience: base}\nprofiles:\n  prod:\n    token: {issuer: prod}\n  empty:\n';

  it('overrides the settings outside of profiles in its file, but not a stronger file', async () => {
    const space = new Workspace();
    space.write(space.userFile, BASE);
    const { settings, origins, profile } = await space.load({ profile: 'prod' });
    expect([settings.token.issuer, settings.token.audience, profile]).toEqual(['prod', 'base', 'prod']);
    expect(origins['token.issuer']).toMatchObject({ name: space.userFile, line: 4, profile: 'prod' });
    expect((await space.load()).settings.token.issuer).toBe('base');

    space.write(space.projectFile, 'token: {issuer: project}\n');
    expect((await space.load({ profile: 'prod' })).settings.token.issuer).toBe('project');
  });

  it('can be selected by a variable and can be empty; the flag overrides the variable', async () => {
    const space = new Workspace();
    space.write(space.userFile, BASE);
    const env = { JWTCTL_PROFILE: 'prod' };
    expect((await space.load({ env })).settings.token.issuer).toBe('prod');
    expect((await space.load({ env, profile: 'empty' })).settings.token.issuer).toBe('base');
  });

  it('that does not exist is refused with a list of existing ones', async () => {
    const space = new Workspace();
    expect((await space.refusal({ profile: 'prod' })).code).toBe('ERR_CONFIG_PROFILE_UNKNOWN');
    space.write(space.userFile, BASE);
    const error = await space.refusal({ profile: 'staging' });
    expect([error.kind, error.code]).toEqual(['usage', 'ERR_CONFIG_PROFILE_UNKNOWN']);
    expect(error.message).toContain('empty, prod');
  });

  it('is checked even if it is not selected', async () => {
    const space = new Workspace();
    space.write(space.userFile, 'profiles: {prod: {token: {ttl: never}}}\n');
    expect((await space.refusal()).message).toContain('(profile prod): token.ttl');
    for (const text of ['profiles: [prod]\n', 'profiles: {"a b": {}}\n', 'profiles: {a: 5}\n']) {
      space.write(space.userFile, text);
      expect((await space.refusal()).code).toBe('ERR_CONFIG_VALUE_INVALID');
    }
  });
});
