import { writeFileSync } from 'node:fs';
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { registerOne } from '../../support/registering.js';
import { openServerGroup, redisNodes, startRedis } from '../../support/servers.js';
import {
  ATTEMPT_TIMEOUT_MS,
  attempt,
  entryAt,
  openRegistry,
  parseNode,
  realNow,
  redisCli,
} from './registry-under-test.js';

type RedisServer = Awaited<ReturnType<typeof startRedis>>;

function sockets(): number {
  return process.getActiveResourcesInfo().filter((name) => /TCPSocketWrap|TLSWrap|ConnectWrap/.test(name))
    .length;
}

describe('a Redis that does not answer', () => {
  let deadNode: string;
  let silent: Server;
  let silentNode: string;
  const accepted = new Set<Socket>();

  beforeAll(async () => {
    const closed = await listen(createServer());
    deadNode = nodeOf(closed);
    await new Promise((resolve) => closed.close(resolve));
    // Accepts connections and sends nothing, like a stopped server.
    silent = await listen(createServer((socket) => accepted.add(socket.on('error', () => {}))));
    silentNode = nodeOf(silent);
  });
  afterAll(() => {
    for (const socket of accepted) socket.destroy();
    silent.close();
  });

  test.each(['cluster', 'standalone'] as const)('reports a refused connection: %s', async (mode) => {
    const { codes, elapsedMs, text } = await attempt([deadNode], { mode });
    expect(codes).toEqual(['unavailable ERR_REDIS_UNREACHABLE']);
    expect(text).toContain(deadNode);
    expect(text).toContain('connection refused');
    expect(elapsedMs).toBeLessThan(ATTEMPT_TIMEOUT_MS);
  });

  test.each(['cluster', 'standalone'] as const)('reports a timeout: %s', async (mode) => {
    const { codes, elapsedMs, text } = await attempt([silentNode], { mode });
    expect(codes).toEqual(['unavailable ERR_REDIS_UNREACHABLE']);
    expect(text).toContain('timed out');
    expect(elapsedMs).toBeLessThan(ATTEMPT_TIMEOUT_MS + 500);
  });

  test('reports a host name that does not resolve', async () => {
    const { codes, text } = await attempt(['no-such-host.invalid:7000'], {});
    expect(codes).toEqual(['unavailable ERR_REDIS_UNREACHABLE']);
    expect(text).toMatch(/unknown host|EAI_AGAIN/);
  });

  test('does not matter if another node of the cluster answers', async () => {
    const nodes = [silentNode, deadNode, 'no-such-host.invalid:7000', redisNodes()[0] ?? ''];
    for (let round = 0; round < 4; round++) {
      expect((await attempt(nodes, { timeoutMs: 5000 })).codes).toEqual(['none']);
    }
  });

  test('leaves no socket open and writes nothing to the console', async () => {
    const said = [vi.spyOn(console, 'error'), vi.spyOn(console, 'warn'), vi.spyOn(console, 'log')];
    const before = sockets();
    for (const mode of ['cluster', 'standalone'] as const) {
      await attempt([deadNode], { mode });
      await attempt([silentNode], { mode, timeoutMs: 200 });
    }
    await vi.waitFor(() => expect(sockets()).toBeLessThanOrEqual(before), { timeout: 2000 });
    for (const spy of said) expect(spy).not.toHaveBeenCalled();
  });

  test('can be closed while connecting, and again', async () => {
    const { registry, close } = openRegistry([silentNode], { timeoutMs: 300 });
    const failed = registry.nodes().catch((error) => error.code);
    await delay(20);
    await close();
    await close();
    expect(await failed).toMatch(/^ERR_REDIS_/);
    await expect(registry.nodes()).rejects.toMatchObject({ code: 'ERR_CLOSED' });
  });

  test('is used again once it is back', async () => {
    const port = parseNode(deadNode).port;
    const { registry, close } = openRegistry([deadNode], {
      mode: 'standalone',
      timeoutMs: ATTEMPT_TIMEOUT_MS,
    });
    const now = realNow();
    const tokenStatus = () => registry.tokenStatus('alice', entryAt(now, 'a'), now);
    await expect(tokenStatus()).rejects.toMatchObject({ code: 'ERR_REDIS_UNREACHABLE' });
    const server = await startRedis({ config: [`port ${port}`] });
    try {
      expect(await tokenStatus()).toEqual({ exp: null, user: null });
      await redisCli(deadNode, 'CLIENT', 'KILL', 'TYPE', 'normal');
      expect(await tokenStatus()).toEqual({ exp: null, user: null });
    } finally {
      await close();
      await server.stop();
    }
  });

  test.each([
    ['before any command', 'cluster', sendNull],
    ['before any command', 'standalone', sendNull],
    ['after each reply', 'cluster', answerWith('*-1\r\n$-1')],
    ['after each reply', 'standalone', answerWith('*-1\r\n$-1')],
    ['and others after each reply', 'cluster', answerWith('+OK\r\n-ERR no\r\n:1\r\n*1\r\n$1\r\na\r\n$-1')],
    ['and others after each reply', 'standalone', answerWith('+OK\r\n-ERR no\r\n:1\r\n*1\r\n$1\r\na\r\n$-1')],
    ['after each error reply', 'cluster', answerWith('-ERR no\r\n$-1')],
    ['after each error reply', 'standalone', answerWith('-ERR no\r\n$-1')],
  ] as const)('survives an unsolicited null reply %s: %s', async (_, mode, serve) => {
    const odd = await listen(createServer((socket) => serve(socket.on('error', () => {}))));
    const { codes } = await attempt([nodeOf(odd)], { mode });
    odd.close();
    for (const code of codes) expect(code).toMatch(/^unavailable ERR_REDIS_|^none$/);
  });

  test.each([
    ['nothing', '*-1'],
    ['an invalid range', '*1\r\n$-1'],
    ['a range without an end', '*1\r\n*1\r\n:0'],
    ['a range beyond the last slot', '*1\r\n*3\r\n:0\r\n:99999999999\r\n*2\r\n$1\r\na\r\n:1'],
    ['an invalid node', '*1\r\n*3\r\n:0\r\n:9\r\n$-1'],
  ])('reports an invalid reply to CLUSTER SLOTS: %s', async (_, reply) => {
    const serve = answerWith(reply, /slots/i);
    const odd = await listen(createServer((socket) => serve(socket.on('error', () => {}))));
    const { codes, text } = await attempt([nodeOf(odd)], { mode: 'cluster' });
    odd.close();
    expect(codes).toEqual(['unavailable ERR_REDIS_UNEXPECTED_REPLY']);
    expect(text).toContain('does not answer CLUSTER SLOTS with a list of slots');
  });
});

function sendNull(socket: Socket): void {
  socket.write('$-1\r\n');
}

/** Sends `reply` to matching commands, and an error to all others. */
function answerWith(reply: string, pattern = /^/): (socket: Socket) => void {
  return (socket) =>
    void socket.on('data', (chunk) => {
      const commands = chunk
        .toString('latin1')
        .split(/^\*\d+\r\n/m)
        .slice(1);
      for (const command of commands)
        socket.write(`${pattern.test(command) ? reply : '-ERR unknown command'}\r\n`);
    });
}

describe('servers that do not match redis.mode', () => {
  let server: RedisServer;
  beforeAll(async () => {
    server = await startRedis();
  });
  afterAll(() => server.stop());

  test('a single server is not a cluster', async () => {
    const { codes, text } = await attempt([server.node], { mode: 'cluster' });
    expect(codes).toEqual(['usage ERR_REDIS_MODE_MISMATCH']);
    expect(text).toContain('redis.mode');
  });

  test('a node of a cluster is not a single server', async () => {
    const { codes, text } = await attempt(redisNodes(), { mode: 'standalone' });
    expect(codes).toEqual(['usage ERR_REDIS_MODE_MISMATCH']);
    expect(text).toContain('redis.mode');
  });

  test.each(['cluster', 'standalone'] as const)('reports a Sentinel as a wrong setting: %s', async (mode) => {
    const sentinel = await startSentinel(server.port);
    try {
      const { codes, text } = await attempt([sentinel.node], { mode });
      expect(codes).toEqual(['usage ERR_REDIS_MODE_MISMATCH']);
      expect(text).toContain(sentinel.node);
      expect(text).toContain('redis.sentinelMaster');
    } finally {
      await sentinel.stop();
    }
  });

  test('reports a replica as unavailable, by name', async () => {
    const replica = await startRedis({ config: [`replicaof 127.0.0.1 ${server.port}`] });
    try {
      const { codes, text } = await attempt([replica.node], { mode: 'standalone' });
      expect(codes).toEqual(['unavailable ERR_REDIS_IS_A_REPLICA']);
      expect(text).toContain(replica.node);
    } finally {
      await replica.stop();
    }
  });

  test.each([
    ['a new connection', true],
    ['an open connection', false],
  ])('reports a server that becomes a replica as unavailable on %s', async (_, isKilled) => {
    const other = await startRedis();
    const { registry, close } = openRegistry([other.node], { mode: 'standalone' });
    const now = realNow();
    const statusReader = registry.openStatusReader({ nearCache: false, now: () => now });
    try {
      await registerOne(registry, 'alice', entryAt(now, 'a'), { now });
      const query = statusReader.of('alice', entryAt(now, 'a'));
      expect((await query.read()).exp).toBe(now + 3600);
      await redisCli(other.node, 'REPLICAOF', '127.0.0.1', server.port);
      if (isKilled) await redisCli(other.node, 'CLIENT', 'KILL', 'TYPE', 'normal');
      const readWatched = () => {
        statusReader.probe();
        return query.read().catch(({ code }) => code);
      };
      await expect.poll(readWatched, { timeout: 5000 }).toBe('ERR_REDIS_IS_A_REPLICA');
    } finally {
      statusReader.close();
      await close();
      await other.stop();
    }
  });

  test('TLS to a plain port is reported as a wrong TLS setting', async () => {
    const { codes } = await attempt([server.node], { mode: 'standalone', tls: {} });
    expect(codes).toEqual(['unavailable ERR_REDIS_TLS']);
    expect((await attempt(redisNodes(), { tls: {} })).codes).toEqual(['unavailable ERR_REDIS_TLS']);
  });

  test('a full server refuses registrations but still removes', async () => {
    const { registry, close } = openRegistry([server.node], { mode: 'standalone' });
    const now = realNow();
    await registerOne(registry, 'alice', entryAt(now, 'a'), { now });
    await redisCli(server.node, 'CONFIG', 'SET', 'maxmemory', '1');
    const refusal = registerOne(registry, 'alice', entryAt(now, 'b'), { now });
    await expect(refusal).rejects.toMatchObject({ kind: 'unavailable', code: 'ERR_REDIS_OUT_OF_MEMORY' });
    expect((await registry.remove('alice', {}, now)).removed).toBe(1);
    await redisCli(server.node, 'CONFIG', 'SET', 'maxmemory', '0');
    await close();
  });
});

async function startSentinel(masterPort: number): Promise<{ node: string; stop(): Promise<void> }> {
  const group = openServerGroup();
  const free = await listen(createServer());
  const node = nodeOf(free);
  await new Promise((resolve) => free.close(resolve));
  const file = join(group.makeFolder('sentinel'), 'sentinel.conf');
  const monitor = `sentinel monitor main 127.0.0.1 ${masterPort} 1`;
  writeFileSync(file, `bind 127.0.0.1\nport ${parseNode(node).port}\n${monitor}\n`);
  const args = [file, '--sentinel'];
  await group.launch({ name: 'sentinel', program: 'redis-server', args, ready: /monitor master/ });
  return { node, stop: group.stop };
}

function listen(server: Server): Promise<Server> {
  return new Promise((resolve) => server.listen(0, '127.0.0.1', () => resolve(server)));
}

function nodeOf(server: Server): string {
  return `127.0.0.1:${(server.address() as AddressInfo).port}`;
}
