import { expect, test } from 'vitest';
import { EXIT } from '../../../src/cli/output/exit-code.js';
import { buildProgram } from '../../../src/cli/program.js';
import { cli } from '../../support/cli.js';

const { run, json } = cli();

test.each([['ERR_TOKEN_REVOKED'], ['err_token_revoked'], ['token_revoked']])(
  'help %s explains the error code',
  async (topic) => {
    const { exitCode, stdout, stderr } = await run('help', topic);

    expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: '' });
    expect(stdout).toMatch(
      /^ERR_TOKEN_REVOKED \(kind refused, exit code 1\)\n\nThe token has been revoked\.\n/,
    );
    expect(stdout).toContain('`jwtctl token list --sub SUB`');
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

const VERBS = await everyVerb();

async function everyVerb() {
  const names = ['keys', 'users', 'token', 'cache', 'db', 'config'];
  const verbsOf = async (group: string) => {
    const program = await buildProgram([group], () => async () => {}, { out: () => {}, err: () => {} });
    const found = program.commands.find((command) => command.name() === group);
    return (found?.commands ?? []).map((verb) => [group, verb.name()] as const);
  };
  return (await Promise.all(names.map(verbsOf))).flat();
}

test.each(VERBS)('help %s %s shows the help of that command', async (group, verb) => {
  const { stdout } = await run('help', group, verb);
  expect(stdout).toMatch(new RegExp(`^Usage: jwtctl ${group} ${verb}\\b`));
  expect(stdout).toBe((await run(group, verb, '--help')).stdout);
});

test.each([
  ['exit-codes', '130  interrupted, or not confirmed'],
  ['environment', 'JWTCTL_REDIS_NODES'],
  ['configuration', '6. the default'],
  ['Security', 'Put no secret on the command line'],
])('help %s explains the topic', async (topic, text) => {
  const { exitCode, stdout, stderr } = await run('help', topic);
  expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: '' });
  expect(stdout).toContain(text);
  expect(await json('help', topic)).toMatchObject({ topic: topic.toLowerCase() });
});

test('help exit-codes lists every exit code', async () => {
  const { exitCodes } = await json('help', 'exit-codes');
  expect(exitCodes.map(({ code }: { code: number }) => code)).toEqual(Object.values(EXIT));
});

test('an error without a hint of its own is shown with the remedy of its code', async () => {
  await run('keys', 'generate', '--kid', 'k1');
  const { error } = await run('keys', 'generate', '--kid', 'k1', '--json');
  const { remedy } = await json('help', 'ERR_KID_EXISTS');

  expect(error()).toMatchObject({ code: 'ERR_KID_EXISTS', hint: remedy });
  expect(remedy).toContain('`--kid`');
});

test.each([
  ['tokn', ['`jwtctl help token`']],
  ['tokn issue', ['`jwtctl help token`']],
  ['keys rotat', ['`jwtctl help keys rotate`']],
  ['token login', ['`jwtctl help token issue`']],
  ['jwks', ['`jwtctl help keys export`']],
  ['verify', ['`jwtctl help token verify`']],
  ['exitcodes', ['`jwtctl help exit-codes`']],
  ['exit code', ['`jwtctl help exit-codes`']],
  ['enviroment', ['`jwtctl help environment`']],
  ['migratin', ['`jwtctl help db migrate`', '`jwtctl help migrating`']],
  ['version', []],
])('help %s suggests what was probably meant', async (topic, suggestions) => {
  const { exitCode, error } = await run('help', ...topic.split(' '), '--json');
  expect([exitCode, error()]).toMatchObject([2, { details: { suggestions } }]);
});
