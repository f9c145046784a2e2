import { once } from 'node:events';
import { type AddressInfo, createServer, type Socket } from 'node:net';

/** Starts a server that accepts connections and never sends data, as if it hung. */
export async function startSilentServer(): Promise<{
  port: number;
  /** Resolves with the first connection. */
  visited: Promise<unknown>;
  stop(): Promise<void>;
}> {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => {});
    socket.resume();
  });
  const visited = once(server, 'connection');
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const stop = async () => {
    for (const socket of sockets) socket.destroy();
    server.close();
    await once(server, 'close');
  };
  return { port: (server.address() as AddressInfo).port, visited, stop };
}

/** Returns ports of 127.0.0.1 without a listener. */
export async function closedPorts(count: number): Promise<number[]> {
  const servers = await Promise.all(Array.from({ length: count }, startSilentServer));
  await Promise.all(servers.map((server) => server.stop()));
  return servers.map(({ port }) => port);
}
