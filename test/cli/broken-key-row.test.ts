import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { BACKENDS, openStores, type Stores } from '../support/stores.js';

describe.each(BACKENDS)('a row of the key store that another program changed, on %s', (backend) => {
  let stores: Stores;
  let token: string;
  beforeEach(async () => {
    stores = await openStores(backend);
    await stores.json('keys', 'generate', '--kid', 'broken');
    ({ token } = await stores.json('token', 'issue', '--sub', 'alice', '--create-user'));
  });
  afterEach(() => stores?.close());

  test.each([
    ['state', 'paused'],
    ['alg', 'RS1'],
    ['public_key', 'no PEM'],
  ])('is named with its column: %s', async (column, value) => {
    await stores.query(`UPDATE keystore SET ${column} = ?`, [value]);
    for (const words of [
      ['keys', 'show', 'broken'],
      ['keys', 'export', '--jwks'],
      ['token', 'issue', '--sub', 'alice'],
      ['token', 'verify', token],
    ]) {
      const result = await stores.run(...words, '--json');
      expect(result, words.join(' ')).toMatchObject({ exitCode: 3, stdout: '' });
      const { code, message } = result.error();
      expect(code).toBe('ERR_KEY_ROW_INVALID');
      expect(message).toContain(`The column ${column} of key broken`);
    }
  });

  test('keeps only its own tokens from being identified', async () => {
    await stores.json('keys', 'generate', '--kid', 'other');
    await stores.json('keys', 'activate', 'other', '--now');
    const { token: others } = await stores.json('token', 'issue', '--sub', 'alice');
    await stores.query("UPDATE keystore SET alg = 'RS1' WHERE kid = 'broken'");
    expect(await stores.json('token', 'revoke', others)).toMatchObject({ revoked: 1 });
    expect((await stores.run('token', 'revoke', token, '--json')).error().code).toBe('ERR_KEY_UNKNOWN');
  });

  test.each([
    ['state', 'paused'],
    ['alg', 'RS1'],
  ])('does not keep an operator from taking access away: %s', async (column, value) => {
    await stores.json('keys', 'generate', '--kid', 'other');
    await stores.query(`UPDATE keystore SET ${column} = ? WHERE kid = ?`, [value, 'broken']);
    await stores.json('users', 'disable', 'alice');
    await stores.json('token', 'revoke', '--sub', 'alice', '--all', '--yes');
    await stores.json('users', 'remove', 'alice', '--yes');
    const compromise = ['keys', 'compromise', 'other', '--reason', 'leaked', '--yes', '--json'];
    const { stdout } = await stores.run(...compromise);
    expect(JSON.parse(stdout)).toMatchObject({ kid: 'other', state: 'compromised' });
    const rows = await stores.query('SELECT state FROM keystore WHERE kid = ?', ['other']);
    expect(rows).toEqual([{ state: 'compromised' }]);
  });
});
