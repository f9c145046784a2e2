import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { encryptedOf, freshPair } from '../support/private-keys.js';
import { runOnTerminal, type Step } from '../support/pseudo-terminal.js';
import { BACKENDS, openStores, type Stores } from '../support/stores.js';

const CTRL_C = '\x03';
const CTRL_D = '\x04';
const SIGINT = 2;

/** Every command that asks a question, and the end of the question. */
const QUESTIONS = [
  { what: 'a confirmation', words: ['cache', 'flush', '--sub', 'alice'], question: '(y/N)' },
  { what: 'a word to type back', words: ['cache', 'flush', '--all'], question: 'to confirm:' },
  { what: 'the confirmation of a revocation', words: ['token', 'revoke', '--kid', 'k1'], question: '(y/N)' },
  { what: 'the confirmation of a purge', words: ['keys', 'purge'], question: '(y/N)' },
  {
    what: 'the kid of a private key to export',
    words: ['keys', 'export', '--kid', 'k1', '--pem', '--private'],
    question: 'to confirm:',
  },
  { what: 'a passphrase', words: ['keys', 'import', '--pem', 'encrypted.pem'], question: 'masked]' },
];

describe.each(BACKENDS)('an unanswered question, on %s', (backend) => {
  let stores: Stores;
  beforeAll(async () => {
    stores = await openStores(backend);
    for (const kid of ['k0', 'k1']) await stores.json('keys', 'generate', '--kid', kid);
    await stores.json('keys', 'activate', 'k1', '--now');
    await stores.json('keys', 'retire', 'k0', '--force');
    await stores.json('token', 'issue', '--sub', 'alice', '--create-user');
    writeFileSync(join(stores.home, 'encrypted.pem'), encryptedOf(freshPair(), 'pkcs8', 'a passphrase'), {
      mode: 0o600,
    });
  });
  afterAll(() => stores?.close());

  const answer = (words: string[], ...steps: Step[]) =>
    runOnTerminal({ env: stores.env, cwd: stores.home }, steps, ...words);

  for (const { what, words, question } of QUESTIONS) {
    test.each([
      ['Ctrl-D', CTRL_D],
      ['Ctrl-C', CTRL_C],
    ])(`${what}: %s ends the command and changes nothing`, async (_name, key) => {
      const before = await stores.content();
      const { exitCode, signal, output } = await answer(words, { waitFor: question, type: key });

      expect({ exitCode, signal }, output).toEqual({ exitCode: 130, signal: null });
      expect(textOf(output)).toMatch(/\njwtctl: Not confirmed: nothing was done\.\r\n$/);
      expect(await stores.content()).toBe(before);
    });
  }

  test('SIGINT ends it like Ctrl-C', async () => {
    const before = await stores.content();
    const { exitCode, output } = await answer(['keys', 'purge'], { waitFor: '(y/N)', signal: SIGINT });

    expect(exitCode, output).toBe(130);
    expect(textOf(output)).toMatch(/\njwtctl: Not confirmed: nothing was done\.\r\n$/);
    expect(await stores.content()).toBe(before);
  });

  test('Ctrl-D typed before the question does not freeze it', async () => {
    const before = await stores.content();
    const { exitCode, output } = await answer(
      ['keys', 'purge'],
      { waitFor: '', type: CTRL_D },
      { waitFor: '(y/N)', type: CTRL_D },
    );

    expect(exitCode, output).toBe(130);
    expect(await stores.content()).toBe(before);
  });

  test('Ctrl-D after part of an answer is ignored, and the answer still counts', async () => {
    const { exitCode, output } = await answer(
      ['cache', 'flush', '--sub', 'alice'],
      { waitFor: '(y/N)', type: `y${CTRL_D}` },
      { waitFor: 'y', type: '\r' },
    );

    expect(exitCode, output).toBe(0);
    expect(textOf(output)).toMatch(/\nRemoved 1 of 1 entry of 1 subject\r\n/);
  });
});

/** Removes escape sequences that move the cursor or change colors. */
function textOf(output: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: a terminal's escape sequences begin with one
  return output.replace(/\x1b\[[?0-9;]*[A-Za-z]/g, '');
}
