import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';

/** A proxy that loses answers. */
export interface LosingProxy {
  node: string;
  /** The server runs the next command with this text in it, but the connection breaks before the answer. */
  loseAnswerTo(text: string): void;
  /** How many answers were lost. */
  lost(): number;
  stop(): Promise<void>;
}

/** @param node `host:port` */
export async function startLosingProxy(node: string): Promise<LosingProxy> {
  const [host = '', port = ''] = node.split(':');
  const sockets = new Set<Socket>();
  let trigger: string | null = null;
  let lost = 0;
  const server = createServer((client) => {
    const upstream = connect({ host, port: Number(port) });
    let isLosing = false;
    for (const socket of [client, upstream]) {
      sockets.add(socket);
      socket.on('error', () => {});
      socket.once('close', () => {
        sockets.delete(socket);
        client.destroy();
        upstream.destroy();
      });
    }
    client.on('data', (chunk) => {
      if (trigger !== null && chunk.includes(trigger)) {
        trigger = null;
        isLosing = true;
      }
      upstream.write(chunk);
    });
    upstream.on('data', (chunk) => {
      if (!isLosing) return void client.write(chunk);
      lost += 1;
      client.destroy();
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    node: `127.0.0.1:${(server.address() as AddressInfo).port}`,
    loseAnswerTo: (text) => {
      trigger = text;
    },
    lost: () => lost,
    stop: async () => {
      for (const socket of sockets) socket.destroy();
      server.close();
      await once(server, 'close');
    },
  };
}
