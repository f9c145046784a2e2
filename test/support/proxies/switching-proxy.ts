import { addressOf, forwardAll, startTcpProxy, urlThrough } from './tcp-proxy.js';

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
  let target = addressOf(url);
  let opened = 0;
  const { port, stop } = await startTcpProxy(
    () => target,
    (client, upstream) => {
      opened += 1;
      forwardAll(client, upstream);
    },
  );
  return {
    url: urlThrough(port, url),
    switchTo: (next) => {
      target = addressOf(next);
    },
    opened: () => opened,
    stop,
  };
}
