import { afterAll, beforeAll, beforeEach, expect, test, vi } from 'vitest';
import { type Cli, cli } from '../support/cli.js';
import { closedPorts } from '../support/proxies/silent-server.js';
import { openStores, type Stores } from '../support/stores.js';
import { runAtTerminal } from '../support/terminal.js';

/** Stands in for the prompts: the answers, and the questions that were asked. */
const person = vi.hoisted(() => ({ agrees: false, wasAsked: [] as string[], meanwhile: async () => {} }));
vi.mock('../../src/adapters/prompt/inquirer-prompt.js', () => ({
  inquirerPrompt: {
    confirm: async (question: string) => {
      person.wasAsked.push(question);
      await person.meanwhile();
      return person.agrees;
    },
  },
}));

let stores: Stores;
/** The same command line on a host that cannot reach one master, or any. */
let withMasterAway: Cli;
let withoutRedis: Cli;
/** A subject on the master that is away. */
let lost: string;

beforeAll(async () => {
  stores = await openStores('MariaDB and a Redis Cluster', { JWTCTL_TIMEOUT: '1s' });
  await stores.json('keys', 'generate', '--kid', 'k1');
  await stores.json('keys', 'generate', '--kid', 'k2');
  for (let index = 0; index < 12; index++)
    await stores.json('token', 'issue', '--sub', `user-${index}`, '--create-user');
  const byMaster = await (stores.redis?.keys() ?? expect.unreachable());
  const [[master, names]] = [...byMaster] as [[string, string[]]];
  lost = names.flatMap((name) => /\{(user-\d+)\}$/.exec(name)?.[1] ?? [])[0] ?? expect.unreachable();
  const { clock, home, env } = stores;
  const [port] = await closedPorts(1);
  const away = (more: Record<string, string>) => cli({ clock, home, env: { ...env, ...more } });
  withMasterAway = away({ JWTCTL_REDIS_NAT_MAP: `${master}=127.0.0.1:${port}` });
  withoutRedis = away({ JWTCTL_REDIS_NODES: `127.0.0.1:${port}` });
});
beforeEach(() => {
  Object.assign(person, { agrees: false, wasAsked: [], meanwhile: async () => {} });
});
afterAll(() => stores?.close());

const WIDE = [
  ['keys', 'compromise', 'k1', '--reason', 'leaked'],
  ['token', 'revoke', '--kid', 'k1'],
  ['token', 'revoke', '--issued-before', '1'],
];

test.each(WIDE.slice(0, 2))('gives a lower bound while one master is away: %s %s', async (...words) => {
  const { exitCode } = await runAtTerminal(withMasterAway, ...words);
  expect(exitCode).toBe(130);
  expect(person.wasAsked).toEqual([
    expect.stringMatching(
      /\? This ends at least \d+ tokens of \d+ subjects\. Not all tokens could be counted\.$/,
    ),
  ]);
});

test.each([...WIDE, ['users', 'remove', 'user-1'], ['token', 'revoke', '--sub', 'user-1', '--all']])(
  'asks without a number while Redis is away: %s %s %s',
  async (...words) => {
    const { exitCode } = await runAtTerminal(withoutRedis, ...words);
    expect(exitCode).toBe(130);
    expect(person.wasAsked).toEqual([expect.stringMatching(/\? The tokens could not be counted\.$/)]);
  },
);

test.each([
  ['users', 'remove', 'user-2'],
  ['token', 'revoke', '--sub', 'user-2', '--all'],
])('asks without a number if a key of the subject has another type: %s %s %s', async (...words) => {
  const { client, prefix } = stores.redis ?? expect.unreachable();
  await client.set(`${prefix}:{user-2}:refresh`, 'forged');
  const { exitCode } = await runAtTerminal(stores, ...words);
  expect(exitCode).toBe(130);
  expect(person.wasAsked).toEqual([expect.stringMatching(/\? The tokens could not be counted\.$/)]);
});

test('a revocation is recorded after the question, although the master of the subject is away', async () => {
  person.agrees = true;
  const { exitCode, error } = await runAtTerminal(
    ...[withMasterAway, 'token', 'revoke', '--sub', lost, '--all', '--json'],
  );
  expect([exitCode, error().code]).toEqual([4, 'ERR_RECORDED_NOT_APPLIED']);
  expect(person.wasAsked).toEqual([
    `Revoke all tokens of "${lost}" permanently? The tokens could not be counted.`,
  ]);
  expect(await stores.query('SELECT type, sub FROM security_log')).toEqual([
    { type: 'subject_revoked', sub: lost },
  ]);
});

test('an unknown key or user is an error, and not a question', async () => {
  for (const words of [
    ['users', 'remove', 'zoe'],
    ['keys', 'compromise', 'k9', '--reason', 'leaked'],
    ['token', 'revoke', '--kid', 'k9'],
  ]) {
    for (const run of [runAtTerminal(stores, ...words), stores.run(...words)])
      expect({ words, exitCode: (await run).exitCode }).toEqual({ words, exitCode: 3 });
  }
  expect(person.wasAsked).toEqual([]);
});

test('nothing is asked about a subject without tokens, or about a single token', async () => {
  const { token } = await stores.json('token', 'issue', '--sub', 'single', '--create-user');
  const other = await stores.json('token', 'issue', '--sub', 'single');
  for (const words of [
    [token],
    ['--sub', 'single', '--jti', other.jti],
    ['--sub', 'single', '--all'],
    ['--sub', 'single', '--issued-before', String(stores.clock.now())],
    ['--sub', 'single', '--where', 'device=phone'],
  ]) {
    const { exitCode, stderr } = await runAtTerminal(stores, 'token', 'revoke', ...words);
    expect(exitCode, stderr).toBe(0);
  }
  expect(person.wasAsked).toEqual([]);
});

test('sessions are counted, also without an access token', async () => {
  await stores.json('token', 'issue', '--sub', 'sam', '--create-user', '--refresh', '--ttl', '60s');
  await runAtTerminal(stores, 'token', 'revoke', '--sub', 'sam', '--all');
  stores.clock.advance(120);
  await runAtTerminal(stores, 'users', 'remove', 'sam');
  await runAtTerminal(stores, 'token', 'revoke', '--sub', 'sam', '--all');
  stores.clock.advance(-120);
  expect(person.wasAsked.map((question) => question.replace(/.*\? /, ''))).toEqual([
    'This ends 1 token and 1 session of 1 subject.',
    'This ends 0 tokens and 1 session of 1 subject.',
    'This ends 0 tokens and 1 session of 1 subject.',
  ]);
});

test('a revocation of a key ends the tokens that were issued while its question was open', async () => {
  let token = '';
  const meanwhile = async () => {
    stores.clock.advance(30);
    ({ token } = await stores.json('token', 'issue', '--sub', 'user-0'));
  };
  Object.assign(person, { agrees: true, meanwhile });
  expect((await runAtTerminal(stores, 'token', 'revoke', '--kid', 'k1')).exitCode).toBe(0);
  expect((await stores.run('token', 'verify', token, '--json')).json().error.code).toBe('ERR_TOKEN_REVOKED');
});
