import { type ClientRequest, request } from 'node:http';

/** An open stream of server-sent events. */
export interface EventStream {
  status: number;
  headers: Record<string, string | string[] | undefined>;
  /** Resolves with the data of the next event of this name, which may have arrived already. */
  // biome-ignore lint/suspicious/noExplicitAny: a test states the shape that it expects
  next(name: string): Promise<any>;
  /** Resolves when the server has ended the stream, or {@link close} has. */
  ended: Promise<void>;
  close(): void;
}

export function openEventStream(
  port: number,
  path: string,
  headers: Record<string, string>,
): Promise<EventStream> {
  return new Promise((resolve, reject) => {
    const asked: ClientRequest = request({ host: '127.0.0.1', port, path, headers, agent: false });
    asked.on('error', reject);
    asked.on('response', (response) => {
      const arrived: Array<{ name: string; data: unknown }> = [];
      const waiting: Array<{ name: string; take(data: unknown): void }> = [];
      let text = '';
      const deliver = () => {
        for (const one of [...waiting]) {
          const index = arrived.findIndex(({ name }) => name === one.name);
          if (index === -1) continue;
          waiting.splice(waiting.indexOf(one), 1);
          one.take(arrived.splice(index, 1)[0]?.data);
        }
      };
      response.setEncoding('utf8').on('data', (piece: string) => {
        text += piece;
        const parts = text.split('\n\n');
        text = parts.pop() ?? '';
        for (const part of parts) {
          const [, name, data] = /^event: (\w+)\ndata: (.*)$/.exec(part) ?? [];
          if (name !== undefined && data !== undefined) arrived.push({ name, data: JSON.parse(data) });
        }
        deliver();
      });
      response.on('error', () => {});
      resolve({
        status: response.statusCode ?? 0,
        headers: response.headers,
        next: (name) =>
          new Promise((take) => {
            waiting.push({ name, take });
            deliver();
          }),
        ended: new Promise((done) => response.on('close', () => done())),
        close: () => asked.destroy(),
      });
    });
    asked.end();
  });
}
