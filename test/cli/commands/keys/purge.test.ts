import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { freshPair, pkcs8Of } from '../../../support/private-keys.js';
import { BACKENDS, openStores, type Stores } from '../../../support/stores.js';
import { runAtTerminal } from '../../../support/terminal.js';

/** Stands in for the prompts: the answers, and the questions that were asked. */
const person = vi.hoisted(() => ({ agrees: false, wasAsked: [] as string[] }));
vi.mock('../../../../src/adapters/prompt/inquirer-prompt.js', () => ({
  inquirerPrompt: {
    confirm: async (question: string) => {
      person.wasAsked.push(question);
      return person.agrees;
    },
  },
}));

const privateKey = pkcs8Of(freshPair());
const IMPORT = ['keys', 'import', '--pem', '-', '--kid', 'second', '--sign'];

/** An active key, a key retired an hour ago, and one retired now. */
describe.each(BACKENDS)('keys purge, on %s', (backend) => {
  let stores: Stores;
  beforeEach(async () => {
    stores = await openStores(backend);
    for (const kid of ['first', 'third']) await stores.json('keys', 'generate', '--kid', kid);
    await stores.json(...IMPORT, { stdin: privateKey });
    await stores.json('keys', 'retire', 'second');
    stores.clock.advance(3_600);
    await stores.json('keys', 'retire', 'third');
    Object.assign(person, { agrees: false, wasAsked: [] });
  });
  afterEach(() => stores?.close());

  test('lists and removes only old rows with --older-than', async () => {
    expect(await stores.json('keys', 'purge', '--older-than', '1h', '-n')).toEqual({
      ...{ dryRun: true, purged: [], wouldPurge: ['second'] },
    });
    const refused = await stores.run('keys', 'purge', '--older-than', '1h', '--json');
    expect([refused.exitCode, refused.error().code]).toEqual([2, 'ERR_CONFIRMATION_NEEDED']);
    expect(await stores.json('keys', 'purge', '--older-than', '1h', '--yes')).toEqual({ purged: ['second'] });
    expect((await stores.run('keys', 'list', '-q')).lines()).toEqual(['first', 'third']);
    const wrong = await stores.run('keys', 'purge', '--older-than', '0', '--json');
    expect([wrong.exitCode, wrong.error().code]).toEqual([2, 'ERR_DURATION_INVALID']);
  });

  test('asks before it removes all rows', async () => {
    const before = await stores.content();
    for (const more of [[], ['--no-input']]) {
      const { exitCode, stdout, error } = await stores.run('keys', 'purge', ...more, '--json');
      expect({ exitCode, stdout, code: error().code }).toEqual({
        ...{ exitCode: 2, stdout: '', code: 'ERR_CONFIRMATION_NEEDED' },
      });
      expect(error().message).toMatch(/2 retired keys.*imported again/);
    }
    const declined = await runAtTerminal(stores, 'keys', 'purge', '--json');
    expect([declined.exitCode, declined.error().code]).toEqual([130, 'ERR_NOT_CONFIRMED']);
    expect(person.wasAsked).toEqual([expect.stringMatching(/2 retired keys.*imported again/)]);
    expect(await stores.content()).toBe(before);

    person.agrees = true;
    const agreed = await runAtTerminal(stores, 'keys', 'purge', '-q');
    expect([agreed.exitCode, agreed.lines().sort()]).toEqual([0, ['second', 'third']]);
  });

  test('removes all rows with --yes, and does not ask if there are none', async () => {
    const planned = await stores.json('keys', 'purge', '-n');
    expect({ ...planned, wouldPurge: planned.wouldPurge.sort() }).toEqual({
      ...{ dryRun: true, purged: [], wouldPurge: ['second', 'third'] },
    });
    expect((await stores.json('keys', 'purge', '--yes')).purged.sort()).toEqual(['second', 'third']);
    expect((await stores.run('keys', 'purge')).stdout).toMatch(/deleted +0 keys/);
    expect(await runAtTerminal(stores, 'keys', 'purge', '--json')).toMatchObject({ exitCode: 0 });
    expect(person.wasAsked).toEqual([]);
  });

  test('allows the kid and the material to be used again', async () => {
    const refused = await stores.run(...IMPORT, '--json', { stdin: privateKey });
    expect([refused.exitCode, refused.error().code]).toEqual([3, 'ERR_KEY_RETIRED']);
    await stores.json('keys', 'purge', '--older-than', '1h', '--yes');
    expect(await stores.json(...IMPORT, { stdin: privateKey })).toMatchObject({ state: 'pending' });
    expect((await stores.run('keys', 'purge', '--help')).stdout.replace(/\s+/g, ' ')).toContain(
      'can then be imported again',
    );
  });
});
