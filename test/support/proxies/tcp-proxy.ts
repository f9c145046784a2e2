import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';

interface Address {
  host: string;
  port: number;
}

interface TcpProxy {
  port: number;
  /** Also breaks all connections. */
  stop(): Promise<void>;
}

/**
 * Gives each connection its own connection to a server. When one closes, closes the other.
 *
 * @param target called for each connection
 * @param forward passes data on, in both directions
 */
export async function startTcpProxy(
  target: () => Address,
  forward: (client: Socket, upstream: Socket) => void,
  { host, port }: Address = { host: '127.0.0.1', port: 0 },
): Promise<TcpProxy> {
  const sockets = new Set<Socket>();
  const server = createServer((client) => {
    const upstream = connect(target());
    for (const socket of [client, upstream]) {
      sockets.add(socket);
      socket.on('error', () => {});
      socket.once('close', () => {
        sockets.delete(socket);
        client.destroy();
        upstream.destroy();
      });
    }
    forward(client, upstream);
  });
  server.listen(port, host);
  await once(server, 'listening');
  return {
    port: (server.address() as AddressInfo).port,
    stop: async () => {
      for (const socket of sockets) socket.destroy();
      server.close();
      await once(server, 'close');
    },
  };
}

/** Forwards all data. */
export function forwardAll(client: Socket, upstream: Socket): void {
  client.pipe(upstream);
  upstream.pipe(client);
}

export function addressOf(url: string): Address {
  const { hostname, port } = new URL(url);
  return { host: hostname, port: Number(port) };
}

/** Returns the URL with the address of a proxy on 127.0.0.1. */
export function urlThrough(port: number, url: string): string {
  const through = new URL(url);
  through.hostname = '127.0.0.1';
  through.port = String(port);
  return through.href;
}
