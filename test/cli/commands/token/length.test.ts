import { describe, expect, test } from 'vitest';
import { LongTokens } from '../../../../src/cli/commands/token/long-tokens.js';
import { openStores } from '../../../support/stores.js';

describe('the length of a new token', () => {
  test('gets a warning above 4 KB, and another above 8 KB', async () => {
    const stores = await openStores('SQLite');
    await stores.json('keys', 'generate');
    await stores.json('users', 'add', 'alice');
    const warnings = async (characters: number, ...flags: string[]) => {
      const claim = `x=${'x'.repeat(characters)}`;
      const run = await stores.run('token', 'issue', '--sub', 'alice', '--claim', claim, '-q', ...flags);
      expect([run.exitCode, run.stdout.split('.').length]).toEqual([0, 3]);
      return run.stderr.match(/[48] KB/g) ?? [];
    };
    expect(await warnings(2_000)).toEqual([]);
    expect(await warnings(3_000)).toEqual(['4 KB']);
    expect(await warnings(6_500)).toEqual(['4 KB', '8 KB']);
    const lines = `{"sub":"alice"}\n{"sub":"alice","claims":{"x":"${'x'.repeat(3_000)}"}}\n`;
    const bulk = await stores.run('token', 'issue', '--sub-file', '-', { stdin: lines });
    expect(bulk.stderr).toContain('too long for a cookie');
    await stores.close();
  });

  test.each([
    [4_070, 0],
    [4_080, 1],
    [8_160, 1],
    [8_180, 2],
  ])('includes what is sent with it: %i characters get %i warnings', (length, count) => {
    const long = new LongTokens();
    long.add('x'.repeat(length));
    expect(long.warnings()).toHaveLength(count);
  });
});
