import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';

/** A proxy in front of a primary and its successor. Open connections stay with their server. */
export interface SwitchingProxy {
  /** The given URL, with the address of the proxy. */
  url: string;
  /** New connections lead to this server. */
  switchTo(url: string): void;
  /** Returns how many connections were opened. */
  opened(): number;
  stop(): Promise<void>;
}

export async function startSwitchingProxy(url: string): Promise<SwitchingProxy> {
  let target = new URL(url);
  let opened = 0;
  const sockets = new Set<Socket>();
  const server = createServer((client) => {
    opened += 1;
    const upstream = connect({ host: target.hostname, port: Number(target.port) });
    for (const socket of [client, upstream]) {
      sockets.add(socket);
      socket.on('error', () => {});
      socket.once('close', () => {
        sockets.delete(socket);
        client.destroy();
        upstream.destroy();
      });
    }
    client.pipe(upstream);
    upstream.pipe(client);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const through = new URL(url);
  through.hostname = '127.0.0.1';
  through.port = String((server.address() as AddressInfo).port);
  return {
    url: through.href,
    switchTo: (next) => {
      target = new URL(next);
    },
    opened: () => opened,
    stop: async () => {
      for (const socket of sockets) socket.destroy();
      server.close();
      await once(server, 'close');
    },
  };
}
