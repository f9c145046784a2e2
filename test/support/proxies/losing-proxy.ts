import { addressOf, startTcpProxy } from './tcp-proxy.js';

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
  const target = addressOf(`redis://${node}`);
  let trigger: string | null = null;
  let lost = 0;
  const { port, stop } = await startTcpProxy(
    () => target,
    (client, upstream) => {
      let isLosing = false;
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
    },
  );
  return {
    node: `127.0.0.1:${port}`,
    loseAnswerTo: (text) => {
      trigger = text;
    },
    lost: () => lost,
    stop,
  };
}
