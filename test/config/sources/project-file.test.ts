import { chownSync, lchownSync, mkdirSync, renameSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { ConfigSources } from '../../../src/config/load-config.js';
import { SETTINGS } from '../../../src/config/settings.js';
import { validateConfig } from '../../../src/config/show-config.js';
import { Workspace } from '../workspace.js';

const NO_VERIFIERS = 65_534;
/** Only root can give a file to another user. */
const isRoot = process.geteuid?.() === 0;
const FOREIGN = 'redis: {nodes: foreign:1}\nmysql: {url: mysql://app@foreign/jwt}\n';

/** A workspace outside the home folder, without a repository unless the test creates one. */
function withoutRepository(): Workspace {
  const space = new Workspace();
  renameSync(join(space.root, 'project/.git'), join(space.root, 'project/not-git'));
  return space;
}

async function issuerOf(space: Workspace, more: Partial<ConfigSources> = {}): Promise<string> {
  return (await space.load(more)).settings.token.issuer;
}

describe('the search for a project file', () => {
  it('ends at the root of the repository', async () => {
    const space = new Workspace();
    space.write(join(space.root, 'jwtctl.yaml'), 'token: {issuer: above}\n');
    expect(await issuerOf(space)).toBe('jwtctl');
    space.write(space.projectFile, 'token: {issuer: root}\n');
    expect(await issuerOf(space)).toBe('root');
  });

  it('treats a work tree, where .git is a file, as a repository', async () => {
    const space = withoutRepository();
    writeFileSync(join(space.root, 'project/.git'), 'gitdir: elsewhere\n');
    space.write(space.projectFile, 'token: {issuer: root}\n');
    expect(await issuerOf(space)).toBe('root');
  });

  it('ends at the home folder', async () => {
    const space = withoutRepository();
    const cwd = join(space.home, 'a/b');
    mkdirSync(cwd, { recursive: true });
    space.write(join(space.root, 'jwtctl.yaml'), 'token: {issuer: above}\n');
    expect(await issuerOf(space, { cwd })).toBe('jwtctl');
    space.write(join(space.home, 'jwtctl.yaml'), 'token: {issuer: home}\n');
    expect(await issuerOf(space, { cwd })).toBe('home');
    expect(await issuerOf(space, { cwd: space.home })).toBe('home');
  });

  it('ends at a home folder that is a link', async () => {
    const space = withoutRepository();
    const cwd = join(space.home, 'a');
    mkdirSync(cwd);
    symlinkSync(space.home, join(space.root, 'link'));
    space.write(join(space.home, 'jwtctl.yaml'), 'token: {issuer: home}\n');
    expect(await issuerOf(space, { cwd, homeDir: join(space.root, 'link') })).toBe('home');
  });

  it('outside both, looks only in the working directory', async () => {
    const space = withoutRepository();
    space.write(space.projectFile, 'token: {issuer: above}\n');
    expect(await issuerOf(space)).toBe('jwtctl');
    expect(await issuerOf(space, { homeDir: '/' })).toBe('jwtctl');
    space.write(join(space.cwd, 'jwtctl.yaml'), 'token: {issuer: here}\n');
    expect(await issuerOf(space)).toBe('here');
  });

  it('does not happen unless a program asks for it', async () => {
    const space = new Workspace();
    space.write(space.projectFile, 'token: {issuer: project}\n');
    const { settings, files } = await space.load({ projectFile: false });
    expect(settings.token.issuer).toBe('jwtctl');
    expect(files.map(({ kind }) => kind)).toEqual(['user', 'system']);
  });
});

describe.skipIf(!isRoot)('a project file of another user', () => {
  it.each(['file', 'folder', 'link'])('is refused: they own the %s', async (part) => {
    const space = new Workspace();
    space.write(space.projectFile, 'token: {issuer: a}\n');
    if (part === 'file') chownSync(space.projectFile, NO_VERIFIERS, NO_VERIFIERS);
    if (part === 'folder') chownSync(dirname(space.projectFile), NO_VERIFIERS, NO_VERIFIERS);
    if (part === 'link') {
      renameSync(space.projectFile, join(space.home, 'real.yaml'));
      symlinkSync(join(space.home, 'real.yaml'), space.projectFile);
      expect(await issuerOf(space)).toBe('a');
      lchownSync(space.projectFile, NO_VERIFIERS, NO_VERIFIERS);
    }
    const error = await space.refusal();
    expect([error.kind, error.code]).toEqual(['usage', 'ERR_CONFIG_FILE_UNSAFE']);
    expect(error.message).toContain(space.projectFile);
    const { problems } = await validateConfig(space.sources());
    expect(problems.map(({ code }) => code)).toEqual(['ERR_CONFIG_FILE_UNSAFE']);
  });
});

describe('a project file', () => {
  const ALLOWED = [
    ...[
      'mysql.url',
      'redis.nodes',
      'redis.mode',
      'redis.prefix',
      'token.issuer',
      'token.audience',
      'token.ttl',
    ],
    ...SETTINGS.map(({ path }) => path).filter(
      (path) => path.startsWith('keys.') && !/publish(Url|Ca)$/.test(path),
    ),
  ];
  const VALUES: Record<string, unknown> = {
    'serve.clients': [{ id: 'shop', secretSha256: '0'.repeat(64), may: ['issue'] }],
    'serve.headers': { 'X-User-Role': 'role' },
    'serve.policies': { orders: { scope: ['orders:read'] } },
    'serve.publicUrl': 'https://auth.example.com',
    'keys.publishUrl': 'https://auth.example.com/jwks.json',
    'mysql.url': 'mysql://app@db/jwt',
    'redis.nodes': 'a:1',
    'redis.natMap': 'a:1=b:2',
    'users.table': 't',
    'users.column': 'c',
    'serve.cookie': 'c',
    'token.acceptLegacy': '2027-03-31',
    'users.claims': 'role=role_name',
  };
  const exampleOf = ({ path, fallback }: (typeof SETTINGS)[number]) => VALUES[path] ?? fallback ?? '1';

  it.each(SETTINGS.filter(({ path }) => ALLOWED.includes(path)))(
    'can set $path, also in a profile',
    async (setting) => {
      const space = new Workspace();
      const text = `${setting.path}: ${JSON.stringify(exampleOf(setting))}\n`;
      space.write(space.projectFile, text);
      expect((await space.load()).origins[setting.path].name).toBe(space.projectFile);
      space.write(space.projectFile, `profiles:\n  p:\n    ${text}`);
      expect((await space.load({ profile: 'p' })).origins[setting.path].profile).toBe('p');
    },
  );

  it('cannot name a socket, also with TLS', async () => {
    const space = new Workspace();
    const url = 'mysql://app@localhost/jwt?socket=/run/mysqld.sock&ssl-mode=REQUIRED';
    space.write(space.projectFile, `mysql: {url: '${url}'}\n`);
    const { code, message } = await space.refusal();
    expect([code, message]).toEqual([
      'ERR_CONFIG_FORBIDDEN_IN_PROJECT_FILE',
      expect.stringContaining('cannot set mysql.url with a socket.'),
    ]);
  });

  it.each(SETTINGS.filter(({ path }) => !ALLOWED.includes(path)))(
    'cannot set $path, not even in an unused profile',
    async (setting) => {
      const space = new Workspace();
      const text = `${setting.path}: ${JSON.stringify(exampleOf(setting))}\n`;
      for (const content of [`\n${text}`, `profiles: {p: {\n ${text.trim()}}}\n`]) {
        space.write(space.projectFile, content);
        const error = await space.refusal();
        expect(error.kind).toBe('usage');
        expect(error.code).toBe('ERR_CONFIG_FORBIDDEN_IN_PROJECT_FILE');
        expect(error.message).toContain(`${space.projectFile}:2`);
        expect(error.message).toContain(setting.path);
        for (const place of [space.userFile, space.systemFile, setting.variable, '--config'])
          expect(error.hint).toContain(place);
        const { problems } = await validateConfig(space.sources());
        expect(problems.map(({ code }) => code)).toEqual([error.code]);
      }
    },
  );

  it('can set everything if --config names it', async () => {
    const space = new Workspace();
    space.write(space.projectFile, 'redis: {nodes: a:1, password: hunter2}\nmasterKey: {command: print}\n');
    const { settings, storeNotice } = await space.load({ configFile: space.projectFile });
    expect([settings.redis.password, settings.masterKey.command, storeNotice]).toEqual([
      'hunter2',
      'print',
      null,
    ]);
  });
});

describe('a store that a project file sets', () => {
  it('is reported', async () => {
    const space = new Workspace();
    space.write(space.projectFile, 'token: {issuer: a}\n');
    expect((await space.load()).storeNotice).toBeNull();
    space.write(space.projectFile, FOREIGN);
    const { storeNotice } = await space.load();
    expect(storeNotice).toContain(space.projectFile);
    for (const setting of ['mysql.url', 'redis.nodes']) expect(storeNotice).toContain(setting);
    expect((await validateConfig(space.sources())).warnings).toContain(storeNotice);
    const env = { JWTCTL_REDIS_NODES: 'own:1', JWTCTL_MYSQL_URL: 'mysql://app@own/jwt' };
    expect((await space.load({ env })).storeNotice).toBeNull();
  });

  it('is reported, even if only the prefix comes from the file', async () => {
    const space = new Workspace();
    space.write(space.projectFile, 'redis: {prefix: other}\n');
    const notice = `The project file ${space.projectFile} sets redis.prefix.`;
    expect((await space.load()).storeNotice).toBe(notice);
    expect((await space.load({ env: { JWTCTL_REDIS_PREFIX: 'own' } })).storeNotice).toBeNull();
  });

  const SECRETS = SETTINGS.filter(({ path }) =>
    /^(?:redis\.password|(?:redis|mysql)\.(?:passwordFile|tls\.key))$/.test(path),
  );
  it.each(SECRETS)('does not get $path from another place', async ({ path }) => {
    const space = new Workspace();
    const file = space.write(join(space.root, 'secret'), 'hunter2\n');
    const pair = path.replace('.key', '.cert');
    const settings = path.endsWith('.key') ? { [path]: file, [pair]: file } : { [path]: file };
    const [store] = path.split('.');
    space.write(space.projectFile, FOREIGN);
    expect((await space.load()).settings.redis.nodes).toHaveLength(1);

    const yaml = Object.entries(settings).map(([name, value]) => `${name}: ${value}\n`);
    const variables = Object.fromEntries(
      SETTINGS.filter(({ path: name }) => name in settings).map((setting) => [setting.variable, file]),
    );
    const nested = path.endsWith('.key')
      ? { tls: { cert: file, key: file } }
      : { [path.split('.')[1] as string]: file };
    const cases: [string, Partial<ConfigSources>][] = [
      ['', { env: variables }],
      ['', { argument: { [store as string]: nested } }],
      [yaml.join(''), {}],
      [`profiles:\n  p:\n${yaml.map((line) => `    ${line}`).join('')}`, { profile: 'p' }],
    ];
    for (const place of ['userFile', 'systemFile'] as const) {
      for (const [text, more] of cases) {
        space.write(space[place], text);
        const error = await space.refusal(more);
        expect([error.kind, error.code]).toEqual(['usage', 'ERR_CONFIG_SECRET_FOR_PROJECT_ADDRESS']);
        const address = store === 'mysql' ? 'mysql.url' : 'redis.nodes';
        for (const part of [address, `${store}.`, space.projectFile]) expect(error.message).toContain(part);
        expect(error.hint).toContain(`--config ${space.projectFile}`);
        expect(`${error.message}${error.hint}`).not.toContain('hunter2');
        const { problems } = await validateConfig(space.sources(more));
        expect(problems.map(({ code }) => code)).toContain('ERR_CONFIG_SECRET_FOR_PROJECT_ADDRESS');
      }
      space.write(space[place], '');
    }
  });

  it.each([
    'redis: {nodes: foreign:1}\nmysql: {url: mysql://app@own/jwt}\n',
    'redis: {mode: standalone}\n',
    'profiles: {p: {redis: {nodes: foreign:1}}}\n',
  ])('gets no secret, whatever the form of its setting: %s', async (text) => {
    const space = new Workspace();
    space.write(
      space.userFile,
      'redis: {nodes: own:1, password: hunter2}\nmysql: {url: mysql://app@own/jwt}\n',
    );
    space.write(space.projectFile, text);
    const profile = text.startsWith('profiles') ? 'p' : undefined;
    expect((await space.refusal({ profile })).code).toBe('ERR_CONFIG_SECRET_FOR_PROJECT_ADDRESS');
  });

  it('does not get the password in the URL that it replaces', async () => {
    const space = new Workspace();
    space.write(space.userFile, 'redis: {nodes: own:1}\nmysql: {url: mysql://app:hunter2@own/jwt}\n');
    space.write(space.projectFile, 'mysql: {url: mysql://app@foreign/jwt}\n');
    expect((await space.load()).settings.mysql.url).toBe('mysql://app@foreign/jwt');
  });

  it('does not affect secrets for a store that another place sets', async () => {
    const space = new Workspace();
    space.write(space.projectFile, `${FOREIGN}token: {issuer: a}\n`);
    const env = {
      JWTCTL_REDIS_NODES: 'own:1',
      JWTCTL_REDIS_PASSWORD: 'hunter2',
      JWTCTL_MYSQL_URL: 'mysql://app:hunter2@own/jwt',
    };
    const { settings } = await space.load({ env });
    expect([settings.redis.password, settings.token.issuer]).toEqual(['hunter2', 'a']);
    const mysqlOnly = 'mysql: {url: mysql://app@db/jwt}\n';
    space.write(space.projectFile, mysqlOnly);
    const redis = { JWTCTL_REDIS_NODES: 'own:1', JWTCTL_REDIS_PASSWORD: 'hunter2' };
    expect((await space.load({ env: redis })).settings.redis.password).toBe('hunter2');
  });
});
