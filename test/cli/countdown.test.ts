import { expect, test } from 'vitest';
import { cli } from '../support/cli.js';
import { runAtTerminal } from '../support/terminal.js';

const ESCAPE = '\u001b';

/** Returns what a terminal shows during the wait for the publish lead. */
async function said(term: string, ...words: string[]): Promise<string> {
  const shell = cli({ env: { TERM: term, JWTCTL_KEYS_PUBLISH_LEAD: '10m' } });
  await shell.json('keys', 'generate');
  const begun = shell.clock.now();
  const { exitCode, stderr } = await runAtTerminal(shell, 'keys', 'rotate', '--now', '--wait', ...words);
  expect([exitCode, shell.clock.now()]).toEqual([0, begun + 600]);
  return stderr;
}

test('a terminal shows a bar during the publish lead', async () => {
  const stderr = await said('xterm');
  expect(stderr).toContain(ESCAPE);
  expect(stderr).toMatch(/10m until the publish lead of key .* is over/);
});

test('a terminal without escape sequences shows one line', async () => {
  const stderr = await said('dumb');
  expect(stderr).not.toContain(ESCAPE);
  expect(stderr.match(/^Waiting 10m until the publish lead of key .* is over\.$/gm)).toHaveLength(1);
});

test.each(['--json', '--output=ndjson', '-q'])(
  'shows nothing if the output is for a program: %s',
  async (form) => {
    const stderr = await said('xterm', form);
    expect(stderr).not.toContain(ESCAPE);
    expect(stderr).not.toContain('until the publish lead');
  },
);
