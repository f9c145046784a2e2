import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest';
import type { JwtctlError } from '../../src/domain/shared/errors.js';
import { openLiveVerifier } from '../../src/verifier/open-live-verifier.js';
import { type Cli, cli } from '../support/cli.js';
import { ManualClock } from '../support/clock.js';
import { openContext } from '../support/opened-context.js';
import { startAlteringProxy } from '../support/proxies/altering-proxy.js';
import { redisNodes, startRedis } from '../support/servers.js';
import { openStores, type Stores } from '../support/stores.js';

/** For commands that read all hash slots, which takes many replies. */
const SOME = ['a number', 'null', 'an empty array', 'thirty numbers', 'an error', 'a half reply', 'HTTP'];

/** Much longer than `timeout`, because many commands run at once. */
const LONGEST_MS = 20_000;

/** What a server sends in place of a reply. */
const BROKEN: Record<string, (reply: Buffer) => string | Buffer> = {
  'a number': () => ':7\r\n',
  'a negative number': () => ':-7\r\n',
  null: () => '$-1\r\n',
  'a null array': () => '*-1\r\n',
  'a simple string': () => '+OK\r\n',
  'a bulk string': () => '$5\r\nhello\r\n',
  'an empty bulk string': () => '$0\r\n\r\n',
  'an empty array': () => '*0\r\n',
  'one null': () => '*1\r\n$-1\r\n',
  'one word': () => '*1\r\n$5\r\nhello\r\n',
  'three words': () => '*3\r\n$5\r\nhello\r\n$1\r\na\r\n$3\r\nnan\r\n',
  'thirty numbers': () => `*30\r\n${':9\r\n'.repeat(30)}`,
  'nested arrays': () => '*2\r\n*1\r\n:1\r\n*2\r\n*1\r\n$1\r\na\r\n:2\r\n',
  'a map': () => '%1\r\n$1\r\na\r\n:1\r\n',
  'a boolean': () => '#t\r\n',
  'a RESP3 null': () => '_\r\n',
  'an error': () => '-ERR no\r\n',
  'an error without a code': () => '-\r\n',
  'an error inside an array': () => '*2\r\n-ERR no\r\n:1\r\n',
  'a half reply': (reply) => reply.subarray(0, reply.length / 2),
  HTTP: () => 'HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n',
  'an endless line': () => `+${'a'.repeat(100_000)}`,
  'a huge string that never comes': () => '$2147483647\r\nabc',
  'a huge array that never comes': () => '*2147483647\r\n:1\r\n',
  'an array longer than any': () => '*4294967297\r\n:1\r\n',
  'a length of many digits': () => '$99999999999999999999999\r\na\r\n',
  'a length that is no number': () => '$abc\r\na\r\n',
  'a negative length': () => '$-5\r\n*-5\r\n',
  'deep nesting': () => '*1\r\n'.repeat(200_000),
  'random bytes': () => randomBytes(300),
  nothing: () => '',
};

let stores: Stores;
let server: Awaited<ReturnType<typeof startRedis>>;
let token: string;

beforeAll(async () => {
  [stores, server] = await Promise.all([openStores('MariaDB and a Redis Cluster'), startRedis()]);
  await stores.json('keys', 'generate', '--kid', 'k1');
  ({ token } = await stores.json('token', 'issue', '--sub', 'alice', '--create-user'));
  const single = await openThrough('standalone', '', (reply) => reply);
  await single.shell.json('token', 'register', token);
  await single.stop();
});
afterAll(() => Promise.all([stores?.close(), server?.stop()]));

type Mode = 'cluster' | 'standalone';

/** Opens a command line whose servers break their replies to `command`. */
async function openThrough(
  mode: Mode,
  command: string,
  change: (reply: Buffer) => string | Buffer,
  timeout = '1s',
): Promise<{ shell: Cli; stop(): Promise<unknown> }> {
  const alter = (asked: string, reply: Buffer) => (asked === command ? Buffer.from(change(reply)) : reply);
  const nodes = mode === 'cluster' ? redisNodes() : [server.node];
  const proxies = await Promise.all(nodes.map((node) => startAlteringProxy(node, alter)));
  const addresses = proxies.map(({ node }) => node);
  const env = {
    ...{ ...stores.env, JWTCTL_TIMEOUT: timeout, JWTCTL_REDIS_MODE: mode },
    JWTCTL_REDIS_NODES: addresses.join(','),
    JWTCTL_REDIS_NAT_MAP: nodes.map((node, index) => `${node}=${addresses[index]}`).join(','),
  };
  const shell = cli({ clock: stores.clock, home: stores.home, env });
  return { shell, stop: () => Promise.all(proxies.map((proxy) => proxy.stop())) };
}

const VERIFY = ['token', 'verify', 'TOKEN'];
const ISSUE = ['token', 'issue', '--sub', 'alice'];
const REVOKE = ['token', 'revoke', '--sub', 'bob', '--all', '--yes'];

test.each<[command: string, mode: Mode, words: string[]]>([
  ['cluster slots', 'cluster', VERIFY],
  ['cluster shards', 'cluster', ['cache', 'nodes']],
  ['info', 'cluster', ['cache', 'nodes']],
  ['cluster nodes', 'cluster', ['cache', 'inspect']],
  ['cluster getkeysinslot', 'cluster', ['cache', 'inspect']],
  ['zscan', 'cluster', ['cache', 'inspect']],
  ['hscan', 'cluster', ['token', 'list', '--sub', 'alice']],
  ['zscan', 'cluster', ['token', 'list', '--sub', 'alice']],
  ['zmscore', 'cluster', VERIFY],
  ['evalsha', 'cluster', ISSUE],
  ['hmget', 'cluster', ISSUE],
  ['time', 'cluster', ISSUE],
  ['evalsha', 'cluster', REVOKE],
  ['wait', 'cluster', REVOKE],
  ['evalsha', 'cluster', ['cache', 'flush', '--sub', 'bob', '--yes']],
  ['hello', 'standalone', VERIFY],
  ['zmscore', 'standalone', VERIFY],
  ['scan', 'standalone', ['cache', 'inspect']],
  ['dbsize', 'standalone', ['cache', 'inspect']],
])(
  'no broken reply to %s is a bug or hangs, in mode %s, for %j',
  { timeout: 90_000 },
  async (command, mode, words) => {
    const replies = Object.entries(BROKEN).filter(
      ([what]) => words[1] !== 'inspect' || mode === 'standalone' || SOME.includes(what),
    );
    const outcomes = await Promise.all(
      replies.map(async ([what, change]) => {
        const { shell, stop } = await openThrough(mode, command, change);
        const begunAt = performance.now();
        const result = await shell.run(...words.map((word) => (word === 'TOKEN' ? token : word)), '--json');
        const ms = Math.round(performance.now() - begunAt);
        await stop();
        return { what, ms, ...result };
      }),
    );
    for (const { what, exitCode, stdout, stderr, ms } of outcomes) {
      expect.soft(exitCode, `${what}: ${stderr}`).not.toBe(70);
      expect.soft(ms, what).toBeLessThan(LONGEST_MS);
      if (command === 'zmscore') expect.soft([exitCode, stdout], what).toEqual([4, '']);
    }
  },
);

test.each([
  ['lacks the outcome of the entry', '*2\r\n:1\r\n:1\r\n'],
  ['has an outcome that no script returns', '*3\r\n:1\r\n:1\r\n:9\r\n'],
  ['counts more entries than there are', '*4\r\n:1\r\n:2\r\n:4\r\n:4\r\n'],
])('no token is issued if the reply to its registration %s', async (_, reply) => {
  const { shell, stop } = await openThrough('standalone', 'evalsha', () => reply);
  const { exitCode, stdout, error } = await shell.run(...ISSUE, '--json');
  await stop();
  expect([exitCode, stdout, error().code]).toEqual([4, '', 'ERR_REDIS_UNEXPECTED_REPLY']);
});

test.each([
  ['zmscore', false],
  ['zmscore', true],
  ['hello', true],
  ['client tracking', true],
  ['info', false],
] as const)(
  'a running verifier accepts nothing by a broken reply to %s, near cache %s',
  { timeout: 90_000 },
  async (command, nearCache) => {
    await Promise.all(
      Object.entries(BROKEN).map(async ([what, change]) => {
        const { shell, stop } = await openThrough('cluster', command, change, '5s');
        const context = { ...(await openContext(shell)), clock: new ManualClock(stores.clock.now()) };
        const verifier = await openLiveVerifier(context, { nearCache });
        onTestFinished(async () => {
          await verifier.close();
          await context.dispose();
          await stop();
        });
        const verdict = await verifier.verify(token).then(
          (result) => (result.active ? 'active' : result.error.code),
          (error: JwtctlError) => `${error.kind} ${error.code}`,
        );
        if (command === 'zmscore') expect.soft(verdict, what).toMatch(/^unavailable ERR_REDIS_/);
        else expect.soft(verdict, what).toMatch(/^active$|^unavailable ERR_REDIS_/);
      }),
    );
  },
);

test.each([
  ['zmscore', VERIFY],
  ['zscan', ['token', 'list', '--sub', 'alice']],
])('a reply to %s without an end is not kept in memory', { timeout: 60_000 }, async (command, words) => {
  let sent = 0;
  const part = Buffer.alloc(2 ** 20, 'a');
  const endless = createServer((socket) => {
    const send = () => {
      sent += part.length;
      socket.write(part, (error) => error == null && send());
    };
    socket.on('error', () => {});
    socket.on('data', (asked) => {
      if (!asked.includes(command)) return void socket.write('-ERR unknown command\r\n');
      socket.write('$2147483647\r\n');
      send();
    });
  });
  endless.listen(0, '127.0.0.1');
  await once(endless, 'listening');
  onTestFinished(() => void endless.close());
  const env = {
    ...{ ...stores.env, JWTCTL_TIMEOUT: '5s', JWTCTL_REDIS_MODE: 'standalone' },
    JWTCTL_REDIS_NODES: `127.0.0.1:${(endless.address() as AddressInfo).port}`,
  };
  const line = words.map((word) => (word === 'TOKEN' ? token : word));
  const { exitCode } = await cli({ ...stores, env }).run(...line, '--json');
  expect(exitCode).toBe(4);
  // One attempt and its repetition, each with the bytes in the buffers of the sockets.
  expect(sent).toBeLessThan(200 * 2 ** 20);
});
