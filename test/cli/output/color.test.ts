import { expect, test } from 'vitest';
import { wantsColor } from '../../../src/cli/output/color.js';
import { cli } from '../../support/cli.js';

test.each([
  { env: {}, onTerminal: true, piped: false },
  { env: { NO_COLOR: '1' }, onTerminal: false, piped: false },
  { env: { NO_COLOR: '' }, onTerminal: true, piped: false },
  { env: { TERM: 'dumb' }, onTerminal: false, piped: false },
  { env: { FORCE_COLOR: '1' }, onTerminal: true, piped: true },
  { env: { FORCE_COLOR: '3', NO_COLOR: '1' }, onTerminal: true, piped: true },
  { env: { FORCE_COLOR: '0' }, onTerminal: false, piped: false },
  { env: { FORCE_COLOR: 'false', CLICOLOR_FORCE: '1' }, onTerminal: false, piped: false },
  { env: { FORCE_COLOR: '' }, onTerminal: true, piped: false },
  { env: { CLICOLOR_FORCE: '1' }, onTerminal: true, piped: true },
  { env: { CLICOLOR_FORCE: '0' }, onTerminal: true, piped: false },
  { env: { CLICOLOR_FORCE: '1', NO_COLOR: '1' }, onTerminal: false, piped: false },
  { env: { CLICOLOR_FORCE: '1', TERM: 'dumb' }, onTerminal: true, piped: true },
  { env: { FORCE_COLOR: '1', TERM: 'dumb' }, onTerminal: true, piped: true },
])('$env: color on a terminal $onTerminal, in a pipe $piped', ({ env, onTerminal, piped }) => {
  expect({ onTerminal: wantsColor(env, true), piped: wantsColor(env, false) }).toEqual({ onTerminal, piped });
});

test('--no-color turns colors off, even with FORCE_COLOR', async () => {
  const { run } = cli({ env: { FORCE_COLOR: '1' } });
  await run('keys', 'generate');
  expect((await run('keys', 'list')).stdout).toContain('\x1b[');
  expect((await run('keys', 'list', '--no-color')).stdout).not.toContain('\x1b');
  expect((await run('keys', 'list', '--json')).stdout).not.toContain('\x1b');
});
