import type { Socket } from 'node:net';
import { addressOf, startTcpProxy } from './tcp-proxy.js';

/** Returns the bytes that the client gets in place of the reply to a command such as `cluster slots`. */
export type Alter = (command: string, reply: Buffer) => Buffer;

/** Forwards all commands to a Redis server, and passes each reply through `alter`. */
export async function startAlteringProxy(
  node: string,
  alter: Alter,
): Promise<{ node: string; stop(): Promise<void> }> {
  const target = addressOf(`redis://${node}`);
  const { port, stop } = await startTcpProxy(
    () => target,
    (client, upstream) => {
      const asked: string[] = [];
      eachValue(client, (value) => {
        asked.push(nameOf(value));
        upstream.write(value);
      });
      eachValue(upstream, (value) => {
        const isPush = value[0] === '>'.charCodeAt(0);
        client.write(isPush ? value : alter(asked.shift() ?? '', value));
      });
    },
  );
  return { node: `127.0.0.1:${port}`, stop };
}

/** The command, with its subcommand if it has one. */
function nameOf(command: Buffer): string {
  const [, name = '', , second = ''] = command.toString('latin1').split('\r\n').slice(1);
  const hasSubcommand = ['cluster', 'client', 'config', 'memory'].includes(name.toLowerCase());
  return (hasSubcommand ? `${name} ${second}` : name).toLowerCase();
}

function eachValue(socket: Socket, take: (value: Buffer) => void): void {
  let rest = Buffer.alloc(0);
  socket.on('data', (chunk) => {
    rest = Buffer.concat([rest, chunk]);
    for (let end = endOfValue(rest, 0); end !== null; end = endOfValue(rest, 0)) {
      take(rest.subarray(0, end));
      rest = rest.subarray(end);
    }
  });
}

/** Returns null for a value that is not complete. */
function endOfValue(data: Buffer, from: number): number | null {
  const lineEnd = data.indexOf('\r\n', from);
  if (lineEnd === -1) return null;
  const type = String.fromCharCode(data[from] ?? 0);
  const count = Number(data.toString('latin1', from + 1, lineEnd));
  let end = lineEnd + 2;
  if ('$=!'.includes(type)) end += count < 0 ? 0 : count + 2;
  if (end > data.length) return null;
  const values = '*>~'.includes(type) ? count : type === '%' ? 2 * count : 0;
  for (let index = 0; index < values; index++) {
    const next = endOfValue(data, end);
    if (next === null) return null;
    end = next;
  }
  return end;
}
