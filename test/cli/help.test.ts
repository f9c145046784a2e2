import { expect, test } from 'vitest';
import { cli } from '../support/cli.js';

const { run, json } = cli();

test.each([['ERR_TOKEN_REVOKED'], ['err_token_revoked'], ['token_revoked']])(
  'help %s explains the error code',
  async (topic) => {
    const { exitCode, stdout, stderr } = await run('help', topic);

    expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: '' });
    expect(stdout).toMatch(
      /^ERR_TOKEN_REVOKED \(kind refused, exit code 1\)\n\nThe token has been revoked\.\n/,
    );
    expect(stdout).toContain('`jwtctl token list --sub S`');
  },
);

test('help ERR_… --json gives an object', async () => {
  expect(await json('help', 'ERR_TOKEN_REVOKED')).toEqual({
    code: 'ERR_TOKEN_REVOKED',
    kind: 'refused',
    exitCode: 1,
    meaning: 'The token has been revoked.',
    remedy: expect.stringMatching(/\.$/),
  });
});

test.each([
  ['ERR_TOKEN_REVOKD', ['ERR_TOKEN_REVOKED']],
  ['ERR_REDIS_FULL_MEMORY', expect.arrayContaining(['ERR_REDIS_OUT_OF_MEMORY'])],
  ['nonsense', []],
])('help %s exits 2 and names the nearest codes', async (topic, suggestions) => {
  const ended = await run('help', topic, '--json');

  expect(ended.exitCode).toBe(2);
  expect(ended.error()).toMatchObject({ code: 'ERR_USAGE', details: { suggestions } });
  expect(ended.stderr).not.toContain(topic);
});

test.each([['migrating'], ['Migration'], ['legacy']])('help %s names the guide', async (topic) => {
  const { exitCode, stdout, stderr } = await run('help', topic);

  expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: '' });
  expect(stdout).toContain('docs/migrating.md');
  expect(stdout).toContain('`jwtctl token register --legacy`');
});

test('help shows the program, a group, and a command of it', async () => {
  for (const [topic, usage] of [
    [[], 'Usage: jwtctl <command> [flags]'],
    [['token'], 'Usage: jwtctl token <command> [flags]'],
    [['tokens', 'revoke'], 'Usage: jwtctl token revoke [token] [flags]'],
  ] as const) {
    const { exitCode, stdout } = await run('help', ...topic);
    expect({ exitCode, usage: stdout.split('\n')[0] }).toEqual({ exitCode: 0, usage });
  }
});

test('an error without a hint of its own is shown with the remedy of its code', async () => {
  await run('keys', 'generate', '--kid', 'k1');
  const { error } = await run('keys', 'generate', '--kid', 'k1', '--json');
  const { remedy } = await json('help', 'ERR_KID_EXISTS');

  expect(error()).toMatchObject({ code: 'ERR_KID_EXISTS', hint: remedy });
  expect(remedy).toContain('`--kid`');
});
