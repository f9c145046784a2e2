import { forwardAll, startTcpProxy } from './tcp-proxy.js';

/** Opens another address for a server, and forwards all data both ways. */
export function startForwardingProxy(host: string, target: { host: string; port: number }, port = 0) {
  return startTcpProxy(() => target, forwardAll, { host, port });
}
