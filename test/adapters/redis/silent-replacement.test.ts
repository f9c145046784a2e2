import { connect, createServer, type Server, type Socket } from 'node:net';
import { afterEach, expect, test } from 'vitest';
import { registerOne } from '../../support/registering.js';
import { startRedis } from '../../support/servers.js';
import { entryAt, openRegistry, parseNode, realNow } from './registry-under-test.js';

const TIMEOUT_MS = 4000;
/** A silent connection is replaced after two seconds. */
const REPLACED_MS = 2000;
const BUSY_MS = 1500;

let closers: Array<() => unknown> = [];
afterEach(async () => {
  for (const close of closers.reverse()) await close();
  closers = [];
});

/** Starts a proxy whose open connections can all go dead at once, without being closed. */
async function startReplaceablePath(node: string): Promise<{ node: string; replaceAll(): void }> {
  const sockets = new Set<Socket>();
  const dead = new Set<Socket>();
  const server: Server = createServer({ allowHalfOpen: true }, (client) => {
    const upstream = connect(parseNode(node));
    for (const socket of [client, upstream]) {
      sockets.add(socket);
      socket.on('error', () => {});
      socket.once('close', () => sockets.delete(socket));
    }
    client.on('data', (chunk) => dead.has(client) || upstream.write(chunk));
    upstream.on('data', (chunk) => dead.has(client) || client.write(chunk));
    client.on('close', () => upstream.destroy());
    upstream.on('close', () => dead.has(client) || client.destroy());
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', () => resolve()));
  closers.push(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return {
    node: `127.0.0.1:${(server.address() as { port: number }).port}`,
    replaceAll: () => {
      for (const socket of sockets) dead.add(socket);
    },
  };
}

test.each([
  { way: 'verifies', nearCache: false },
  { way: 'verifies with a near cache', nearCache: true },
  { way: 'registers', nearCache: null },
])('a process that $way tries once more after all connections went dead', async ({ nearCache }) => {
  const server = await startRedis();
  closers.push(server.stop);
  const path = await startReplaceablePath(server.node);
  const { registry, close } = openRegistry([path.node], { mode: 'standalone', timeoutMs: TIMEOUT_MS });
  const now = realNow();
  const register = () => registerOne(registry, 'alice', entryAt(now, 'a'), { now });
  await register();
  const statusReader = registry.openStatusReader({ nearCache: nearCache === true, now: realNow });
  closers.push(close, () => statusReader.close());
  await statusReader.open();
  const ask: () => Promise<unknown> =
    nearCache === null ? register : () => statusReader.of('alice', entryAt(now, 'a')).read();
  await ask();

  for (let round = 0; round < 2; round++) {
    path.replaceAll();
    const began = performance.now();
    await Promise.all(Array.from({ length: 50 }, ask));
    expect(performance.now() - began).toBeLessThan(REPLACED_MS + BUSY_MS);
    const after = performance.now();
    await ask();
    expect(performance.now() - after).toBeLessThan(BUSY_MS);
  }
});
