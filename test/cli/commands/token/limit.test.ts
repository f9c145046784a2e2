import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { cli } from '../../../support/cli.js';
import { basic, CLIENT, servingsOver } from '../../../support/serving.js';
import { BACKENDS, openStores, type Stores } from '../../../support/stores.js';

describe.each(BACKENDS)('registry.onLimit: refuse, on %s', (backend) => {
  let stores: Stores;

  beforeAll(async () => {
    const env = { JWTCTL_REGISTRY_MAX_PER_SUBJECT: '2', JWTCTL_REGISTRY_ON_LIMIT: 'refuse' };
    stores = await openStores(backend, env);
    await stores.json('keys', 'generate');
    for (const sub of ['alice', 'bob', 'carol']) await stores.json('users', 'add', sub);
  });
  afterAll(() => stores?.close());
  const open = servingsOver(() => stores);

  test('token issue refuses a token beyond the limit with exit code 3', async () => {
    const first = await stores.json('token', 'issue', '--sub', 'alice');
    await stores.json('token', 'issue', '--sub', 'alice', '--refresh');
    for (const flags of [[], ['--refresh']]) {
      const refused = await stores.run('token', 'issue', '--sub', 'alice', '--json', ...flags);
      expect([refused.exitCode, refused.stdout]).toEqual([3, '']);
      expect(JSON.parse(refused.stderr).error.code).toBe('ERR_TOKEN_LIMIT');
    }
    const dry = await stores.run('token', 'issue', '--sub', 'alice', '--json', '-n');
    expect([dry.exitCode, dry.error().code]).toEqual([3, 'ERR_TOKEN_LIMIT']);
    expect(await stores.json('token', 'list', '--sub', 'alice')).toHaveLength(2);
    await stores.json('token', 'revoke', first.token);
    expect((await stores.run('token', 'issue', '--sub', 'alice')).exitCode).toBe(0);
  });

  test('token issue --sub-file issues the tokens that the limit allows', async () => {
    const words = ['token', 'issue', '--sub-file', '-'];
    // The dry run first: it counts the tokens of the lines before.
    for (const flags of [['-n'], []]) {
      const { exitCode, stdout, stderr } = await stores.run(...words, ...flags, { stdin: 'bob\nbob\nbob\n' });
      expect([flags, exitCode, stdout.trim().split('\n').length]).toEqual([flags, 5, 2]);
      expect(stderr).toContain('1 token: ERR_TOKEN_LIMIT (line 3)');
    }
  });

  test('POST /v1/tokens answers 409', async () => {
    const { app } = await open();
    const issue = () =>
      app.inject({ method: 'POST', url: '/v1/tokens', payload: { sub: 'carol' }, headers: basic(CLIENT) });
    const answers = await Promise.all([issue(), issue(), issue()]);
    expect(answers.map(({ statusCode }) => statusCode).sort()).toEqual([201, 201, 409]);
    expect((await issue()).json()).toMatchObject({ error: 'Conflict', code: 'ERR_TOKEN_LIMIT' });
  });

  test('without registry.maxPerSubject it is an error of the configuration', async () => {
    const shell = cli({ env: { JWTCTL_REGISTRY_ON_LIMIT: 'refuse' } });
    const { exitCode, stdout } = await shell.run('config', 'validate');
    expect([exitCode, stdout]).toEqual([2, expect.stringContaining('registry.maxPerSubject')]);
  });
});
