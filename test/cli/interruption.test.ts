import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { cli } from '../support/cli.js';
import { BACKENDS, openStores, type Stores } from '../support/stores.js';

describe.each(BACKENDS)('an interruption during a walk through the registry, on %s', (backend) => {
  let stores: Stores;
  let kid = '';
  beforeAll(async () => {
    stores = await openStores(backend);
    kid = (await stores.json('keys', 'generate')).kid;
    for (const sub of ['alice', 'bob', 'carol']) {
      await stores.json('token', 'issue', '--sub', sub, '--create-user');
    }
  });
  afterAll(() => stores?.close());

  function interrupted(...words: string[]) {
    const { clock, home, env } = stores;
    return cli({ clock, home, env, signal: AbortSignal.abort() }).run(...words, '--json');
  }

  test('ends an inspection, which reports that it is incomplete', async () => {
    const { exitCode, json } = await interrupted('cache', 'inspect');
    expect({ exitCode, complete: json().complete }).toEqual({ exitCode: 130, complete: false });
  });

  test('ends a restore before its first chunk', async () => {
    await stores.json('cache', 'snapshot', 'whole');
    const before = await stores.content();
    for (const words of [['whole'], ['whole', '--dry-run'], ['-']]) {
      const { exitCode, stdout, error } = await interrupted('cache', 'restore', ...words);
      expect({ words, exitCode, stdout, code: error().code }).toEqual({
        ...{ words, exitCode: 130, stdout: '', code: 'ERR_INTERRUPTED' },
      });
    }
    expect(await stores.content()).toBe(before);
  });

  test.each([
    ['cache', 'flush', '--all'],
    ['cache', 'flush', '--sub', 'alice', '--backup', 'm'],
    ['cache', 'snapshot', 'm'],
    ['token', 'revoke', '--kid', 'KID'],
  ])('%s %s %s changes nothing, even if confirmed before', async (...words) => {
    const before = await stores.content();
    const asked = words.map((word) => (word === 'KID' ? kid : word));
    const { exitCode, stdout, error } = await interrupted(...asked, '--yes');

    expect({ exitCode, stdout, code: error().code }).toEqual({
      ...{ exitCode: 130, stdout: '', code: 'ERR_INTERRUPTED' },
    });
    expect(await stores.content()).toBe(before);
    expect(existsSync(join(stores.home, 'm'))).toBe(false);
    if (words[1] === 'flush') {
      const { clock, home, env } = stores;
      const shell = cli({ clock, home, env, signal: AbortSignal.abort() });
      expect((await shell.run(...asked, '--dry-run')).stdout).toMatch(
        /Would remove 0 entries of 0 subjects found; there may be more/,
      );
    }
    const tried = await interrupted(...asked, '--dry-run');
    expect({ exitCode: tried.exitCode, complete: tried.json().complete }).toEqual({
      exitCode: 130,
      complete: false,
    });
  });
});
