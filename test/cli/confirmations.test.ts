import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { runOnTerminal } from '../support/pseudo-terminal.js';
import { BACKENDS, openStores, type Stores } from '../support/stores.js';

const CTRL_C = '\x03';
const TWO_OF_ONE = 'This ends 2 tokens of 1 subject.';
const THREE_OF_TWO = 'This ends 3 tokens of 2 subjects.';

/** Every command that ends several tokens or cannot be undone, and the count in its question. */
const COMMANDS: ReadonlyArray<{ name: string; words: (moment: string) => string[]; scope: string }> = [
  { name: 'users remove', words: () => ['users', 'remove', 'alice'], scope: TWO_OF_ONE },
  {
    name: 'keys compromise',
    words: () => ['keys', 'compromise', 'k1', '--reason', 'leaked'],
    scope: THREE_OF_TWO,
  },
  { name: 'keys purge', words: () => ['keys', 'purge'], scope: 'Delete 1 retired key?' },
  {
    name: 'keys purge --older-than',
    words: () => ['keys', 'purge', '--older-than', '1s'],
    scope: 'Delete 1 retired key?',
  },
  {
    name: 'token revoke --sub --all',
    words: () => ['token', 'revoke', '--sub', 'alice', '--all'],
    scope: TWO_OF_ONE,
  },
  {
    name: 'token revoke --sub --issued-before',
    words: (moment) => ['token', 'revoke', '--sub', 'alice', '--issued-before', moment],
    scope: TWO_OF_ONE,
  },
  {
    name: 'token revoke --sub --where',
    words: () => ['token', 'revoke', '--sub', 'alice', '--where', 'device=phone'],
    scope: TWO_OF_ONE,
  },
  { name: 'token revoke --kid', words: () => ['token', 'revoke', '--kid', 'k1'], scope: THREE_OF_TWO },
  {
    name: 'token revoke --issued-before',
    words: (moment) => ['token', 'revoke', '--issued-before', moment],
    scope: THREE_OF_TWO,
  },
  {
    name: 'cache flush',
    words: () => ['cache', 'flush', '--kid', 'k1'],
    scope: 'Remove 3 entries of 2 subjects?',
  },
];

describe.each(BACKENDS)('a command that ends several tokens or cannot be undone, on %s', (backend) => {
  let stores: Stores;
  let moment: string;
  beforeEach(async () => {
    stores = await openStores(backend);
    // The processes at the terminal use the real clock.
    stores.clock.advance(-60);
    for (const kid of ['k0', 'k1', 'k2']) await stores.json('keys', 'generate', '--kid', kid);
    await stores.json('keys', 'activate', 'k1', '--now');
    await stores.json('keys', 'retire', 'k0', '--force');
    for (const sub of ['alice', 'alice', 'bob']) {
      await stores.json('token', 'issue', '--sub', sub, '--create-user', '--meta', 'device=phone');
    }
    stores.clock.advance(60);
    moment = String(stores.clock.now());
  });
  afterEach(() => stores?.close());

  const answer = (words: string[], type: string) =>
    runOnTerminal({ env: stores.env, cwd: stores.home }, [{ waitFor: '(y/N)', type }], ...words);

  test.each(COMMANDS)('$name asks at a terminal, and does what the answer says', async ({ words, scope }) => {
    const argv = words(moment);
    const before = await stores.content();
    for (const key of ['n\r', CTRL_C]) {
      const { exitCode, output } = await answer(argv, key);
      expect(exitCode, output).toBe(130);
      expect(textOf(output)).toContain(scope);
      expect(textOf(output)).toMatch(/\njwtctl: Not confirmed: nothing was done\.\r\n$/);
      expect(await stores.content()).toBe(before);
    }
    const { exitCode, output } = await answer(argv, 'y\r');
    expect(exitCode, output).toBe(0);
    expect(await stores.content()).not.toBe(before);
  });

  test.each(COMMANDS)('$name needs a flag without a terminal', async ({ words }) => {
    const argv = words(moment);
    const before = await stores.content();
    for (const more of [[], ['--no-input'], ['-q']]) {
      const { exitCode, stdout, error } = await stores.run(...argv, ...more, '--json');
      expect({ exitCode, stdout, ...error() }).toMatchObject({
        ...{ exitCode: 2, stdout: '', code: 'ERR_CONFIRMATION_NEEDED' },
        hint: expect.stringContaining('--yes'),
      });
    }
    expect((await stores.run(...argv, '--dry-run')).exitCode).toBe(0);
    expect(await stores.content()).toBe(before);
    expect((await stores.run(...argv, '--yes')).exitCode).toBe(0);
    expect(await stores.content()).not.toBe(before);
  });
});

/** Removes escape sequences that move the cursor or change colors. */
function textOf(output: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: a terminal's escape sequences begin with one
  return output.replace(/\x1b\[[?0-9;]*[A-Za-z]/g, '');
}
