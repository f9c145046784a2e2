import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { urlThrough } from './tcp-proxy.js';

/** A proxy whose connections can fall silent. */
export interface SilencingProxy {
  /** The given URL, with the address of the proxy. */
  url: string;
  /** Silences a connection from its next message with this text on. */
  fallSilentAt(trigger: string): void;
  /** Silences all connections. */
  fallSilent(): void;
  /** How many connections have fallen silent. */
  silenced(): number;
  stop(): Promise<void>;
}

/**
 * Forwards all data to the server of `url` until it is told to fall silent. Then it neither answers nor closes.
 *
 * @param misheard a text that the proxy replaces with another one of the same length
 */
export async function startSilencingProxy(
  url: string,
  misheard?: { text: string; as: string },
): Promise<SilencingProxy> {
  const target = new URL(url);
  const sockets = new Set<Socket>();
  const silent = new Set<Socket>();
  let trigger: string | undefined;
  let isSilent = false;

  // Half-open: a dead line does not close when the client does.
  const server = createServer({ allowHalfOpen: true }, (client) => {
    const upstream = connect({
      host: target.hostname,
      port: Number(target.port || 3306),
      allowHalfOpen: true,
    });
    for (const socket of [client, upstream]) {
      sockets.add(socket);
      socket.on('error', () => {});
      socket.once('close', () => sockets.delete(socket));
    }
    const isDead = () => isSilent || silent.has(client);
    client.on('data', (chunk) => {
      if (trigger !== undefined && chunk.includes(trigger)) silent.add(client);
      if (!isDead()) upstream.write(misheard === undefined ? chunk : replaced(chunk, misheard));
    });
    upstream.on('data', (chunk) => {
      if (!isDead()) client.write(chunk);
    });
    client.on('end', () => isDead() || upstream.end());
    upstream.on('end', () => isDead() || client.end());
    client.on('close', () => upstream.destroy());
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');

  return {
    url: urlThrough((server.address() as AddressInfo).port, url),
    fallSilentAt: (text) => {
      trigger = text;
    },
    fallSilent: () => {
      isSilent = true;
    },
    silenced: () => silent.size,
    stop: async () => {
      for (const socket of sockets) socket.destroy();
      server.close();
      await once(server, 'close');
    },
  };
}

function replaced(chunk: Buffer, { text, as }: { text: string; as: string }): Buffer {
  return Buffer.from(chunk.toString('latin1').replaceAll(text, as), 'latin1');
}
