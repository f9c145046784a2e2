import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { openVerifier } from '../../../../src/index.js';
import { openStores, type Stores } from '../../../support/stores.js';

const JWE = `${Buffer.from('{"alg":"RSA-OAEP","enc":"A256GCM"}').toString('base64url')}.c2VjcmV0.AAAA.AAAA.AAAA`;

describe('a pasted token', () => {
  let stores: Stores;
  let token = '';

  beforeAll(async () => {
    stores = await openStores('SQLite');
    await stores.json('keys', 'generate');
    await stores.json('users', 'add', 'alice');
    ({ token } = await stores.json('token', 'issue', '--sub', 'alice'));
  });
  afterAll(() => stores?.close());

  test('is read by every command with a TOKEN, with a note that shows nothing of it', async () => {
    const stdin = `Authorization: Bearer "${token.slice(0, 99)}\r\n ${token.slice(99)}"\n`;
    for (const verb of ['decode', 'verify', 'register', 'revoke']) {
      const { exitCode, stderr } = await stores.run('token', verb, '-', { stdin });
      expect({ verb, exitCode }).toEqual({ verb, exitCode: 0 });
      expect(stderr).toContain('The token was read without the words before it, quotes, and white space.');
      expect(stderr).not.toContain(token.slice(0, 20));
      expect((await stores.run('token', verb, `{"access_token":"${token}"}`, '--json')).stderr).not.toContain(
        'read',
      );
    }
  });

  test('is not read if it is something else, which is named', async () => {
    for (const verb of ['decode', 'register', 'revoke']) {
      const { exitCode, stdout, error, stderr } = await stores.run('token', verb, JWE, '--json');
      expect({ exitCode, stdout, code: error().code }).toEqual({
        exitCode: 1,
        stdout: '',
        code: 'ERR_TOKEN_MALFORMED',
      });
      expect(error().message).toContain('an encrypted token (JWE)');
      expect(stderr).not.toContain('c2VjcmV0');
    }
    const { exitCode, json } = await stores.run('token', 'verify', JWE, '--json');
    expect({ exitCode, ...json() }).toMatchObject({ exitCode: 1, active: false, reason: 'Invalid Token' });
    expect(json().error.message).toContain('an encrypted token (JWE)');
  });

  test('is read in every line of a file, and counted', async () => {
    const issued = await stores.run('token', 'issue', '--sub-file', '-', '-q', {
      stdin: 'alice\n'.repeat(5),
    });
    const [first, second, third, fourth, fifth] = issued.lines();
    const stdin = [
      first,
      `Bearer ${second}`,
      `"${third}",`,
      `{"access_token":"${fourth}","token_type":"Bearer"}`,
      `https://app.example/?token=${fifth}&x=1`,
      JWE,
      '3f2504e0-4f89-11d3-9a0c-0305e82c3301',
    ].join('\n');
    const { exitCode, lines, stderr } = await stores.run('token', 'register', '--token-file', '-', { stdin });
    expect({ exitCode, count: lines().length }).toEqual({ exitCode: 5, count: 5 });
    expect(stderr).toContain('4 lines contained more than the token. The rest was ignored.');
    expect(stderr).toContain('2 tokens: ERR_TOKEN_MALFORMED (lines 6–7)');
  });

  test('is refused by the library', async () => {
    const verifier = await openVerifier({ data: `${stores.home}/data/jwtctl/jwtctl.db` });
    try {
      const { token: live } = await stores.json('token', 'issue', '--sub', 'alice');
      expect(await verifier.verify(live)).toMatchObject({ active: true });
      for (const text of [`Bearer ${live}`, `"${live}"`, `${live}\n`, `{"token":"${live}"}`]) {
        expect(await verifier.verify(text)).toMatchObject({
          active: false,
          error: { code: 'ERR_TOKEN_MALFORMED' },
        });
      }
    } finally {
      await verifier.close();
    }
  });
});
