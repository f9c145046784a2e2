import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { temporaryFolder } from '../support/cli.js';
import { spawnCli } from '../support/spawned.js';

test.each([
  ['config.yaml', 'token:\n  ttl: 17m # short\n'],
  ['config.json', '{ "token": { "ttl": "17m" } }\n'],
])('the built command line reads %s', async (name, text) => {
  const home = temporaryFolder();
  const file = join(home, name);
  writeFileSync(file, text, { mode: 0o600 });
  const words = ['config', 'show', '--config', file, '--json'];
  const { exitCode, stderr, json } = await spawnCli(words, { env: { HOME: home } });
  expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: '' });
  expect(json()).toContainEqual(expect.objectContaining({ setting: 'token.ttl', value: 17 * 60 }));
});
