import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { completingCommands } from '../../src/cli/given-flags.js';
import { cli } from '../support/cli.js';

test('a command to run next has the --config and --profile of the command line', async () => {
  const shell = cli();
  const file = join(shell.home, 'my config.yaml');
  writeFileSync(file, 'profiles: { staging: { data: ./staging.db } }\n', { mode: 0o600 });
  const words = ['--config', file, '--profile', 'staging'];
  const flags = `--config '${file}' --profile staging`;
  const { error } = await shell.run('token', 'list', '--sub', 'alice', ...words, '--json');
  expect(error().hint).toContain(`\`jwtctl keys generate ${flags}\``);
  await shell.run('users', 'add', 'alice', ...words);
  expect((await shell.run('keys', 'list', ...words)).stdout).toBe(
    `There are no keys. Run \`jwtctl keys generate ${flags}\`.\n`,
  );
  expect((await shell.run('doctor', '--only', 'active-key', ...words)).stdout).toContain(
    `What to do: Run \`jwtctl keys generate ${flags}\`.`,
  );
});

test.each([
  ['Run `jwtctl keys show -- -k`.', 'Run `jwtctl keys show --profile p -- -k`.'],
  ['`jwtctl help keys` lists the verbs.', '`jwtctl help keys` lists the verbs.'],
  ['Check `users.*`.', 'Check `users.*`.'],
])('%s', (text, completed) => {
  expect(completingCommands({ profile: 'p' })(text)).toBe(completed);
  expect(completingCommands({ actor: 'a' })(text)).toBe(text);
});
