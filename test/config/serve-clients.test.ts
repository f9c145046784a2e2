import { tmpdir } from 'node:os';
import { describe, expect, test } from 'vitest';
import { clients } from '../../src/config/setting-kinds.js';
import { formatValue, jsonValue, problemOf, readValue } from '../../src/config/setting-values.js';
import { placesOf } from '../../src/config/standard-paths.js';
import { cli } from '../support/cli.js';

const places = placesOf({}, { homeDir: tmpdir() });
const DIGEST = 'AB'.repeat(32);
const APP = { id: 'app', secretFile: 'app.secret', may: ['issue', 'introspect'] };

function read(raw: unknown): unknown {
  return readValue(clients, raw, '/etc/jwtctl', places)?.value ?? null;
}

describe('serve.clients', () => {
  test('is a list of clients, also as JSON text', () => {
    const other = { id: 'other app', secretSha256: DIGEST, may: ['users'], audiences: ['a', 'b'] };
    const expected = [
      {
        ...{ id: 'app', secretFile: '/etc/jwtctl/app.secret', secretSha256: null },
        ...{ may: ['introspect', 'issue'], audiences: null },
      },
      { ...other, secretFile: null, secretSha256: DIGEST.toLowerCase() },
    ];
    expect(read([APP, other])).toEqual(expected);
    expect(read(JSON.stringify([APP, other]))).toEqual(expected);
    expect(read([])).toEqual([]);
  });

  test.each([
    ['{', 'is not JSON'],
    [{}, 'is an object; expected a list of clients'],
    ['[1]', '[0] is a number; expected a map with id, secretFile, secretSha256, may, audiences'],
    [[{ ...APP, id: undefined }], '[0] has no id'],
    [[APP, { ...APP, id: 'a:b' }], '[1].id cannot have this value'],
    [[APP, APP], '[1] has the id of [0]'],
    [[{ ...APP, secretFile: undefined }], '[0] has neither secretFile nor secretSha256'],
    [[{ ...APP, secretSha256: DIGEST }], '[0] has both secretFile and secretSha256'],
    [
      [{ ...APP, secretFile: undefined, secretSha256: 'ab' }],
      '[0].secretSha256 cannot have this value; expected 64',
    ],
    [[{ ...APP, secretFile: '~bob/x' }], '[0].secretFile cannot have this value'],
    [[{ ...APP, may: [] }], '[0].may cannot have this value; expected a list of introspect, issue'],
    [[{ ...APP, may: 'issue' }], '[0].may cannot have this value'],
    [[{ ...APP, may: ['sign'] }], '[0].may cannot have this value'],
    [[{ ...APP, may: undefined }], '[0] has no may'],
    [[{ ...APP, audiences: [] }], '[0].audiences cannot have this value'],
    [[{ ...APP, audiences: null }], '[0] has no audiences; expected a list'],
    [[{ ...APP, audience: ['a'] }], '[0] has the unknown member audience; did you mean audiences?'],
    [[{ ...APP, secret: 'hunter2' }], '[0] has the unknown member secret; did you mean secretFile?'],
    [[{ ...APP, 'id:hunter2': null }], '[0] has the unknown member id…; expected id'],
  ])('names what is wrong: %j', (raw, problem) => {
    expect(read(raw)).toBeNull();
    const named = String(problemOf(clients, raw, '/etc/jwtctl', places));
    expect(named.startsWith(problem)).toBe(true);
    expect(named).not.toContain('hunter2');
  });

  test('is shown without digests', () => {
    const value = read([
      { id: 'app', secretSha256: DIGEST, may: ['issue'] },
      { ...APP, id: 'other' },
    ]);
    const shown = [
      { id: 'app', secretSha256: '********', may: ['issue'] },
      { id: 'other', secretFile: '/etc/jwtctl/app.secret', may: ['introspect', 'issue'] },
    ];
    expect(jsonValue(clients, value)).toEqual(shown);
    expect(JSON.parse(formatValue(clients, value))).toEqual(shown);
  });

  test('in a variable, an error names the variable and the member', async () => {
    const { run } = cli({ env: { JWTCTL_SERVE_CLIENTS: JSON.stringify([{ ...APP, may: ['all'] }]) } });
    const { exitCode, error } = await run('config', 'show', '--json');
    expect(exitCode).toBe(2);
    expect(error()).toMatchObject({ code: 'ERR_CONFIG_VALUE_INVALID' });
    expect(error().message).toContain('JWTCTL_SERVE_CLIENTS: serve.clients[0].may cannot have this value');
  });
});
