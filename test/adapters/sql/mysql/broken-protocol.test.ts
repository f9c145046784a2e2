import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { sql } from 'kysely';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { openMysqlWithPassword } from '../../../support/open-mysql.js';
import { mariadb, type SqlDatabaseUnderTest } from '../../../support/sql-engines.js';

/** The bytes of a server up to the reply to the query below, about 400, each replaced in turn. */
const OFFSETS = Array.from({ length: 50 }, (_, index) => index * 8);

describe('a server that breaks the protocol', () => {
  let opened: SqlDatabaseUnderTest;
  beforeAll(async () => {
    opened = await mariadb.create();
  });
  afterAll(() => opened.close());

  /** Queries through a proxy that changes what the server sends from `offset` on. */
  async function queryThrough(change: (sent: Buffer, offset: number) => Buffer): Promise<unknown> {
    const real = new URL(opened.address);
    const proxy = createServer((client) => {
      const server = connect(Number(real.port || 3306), real.hostname);
      let offset = 0;
      const close = () => {
        client.destroy();
        server.destroy();
      };
      for (const socket of [client, server] as Socket[]) socket.on('error', close).on('close', close);
      client.pipe(server);
      server.on('data', (sent) => {
        client.write(change(sent, offset));
        offset += sent.length;
      });
    });
    proxy.listen(0, '127.0.0.1');
    await once(proxy, 'listening');
    const { port } = proxy.address() as AddressInfo;
    const url = new URL(opened.address);
    url.host = `127.0.0.1:${port}`;
    const client = openMysqlWithPassword(url.href, 1_000);
    try {
      return await sql`select ${'alice'} as name, 1 as one, null as nothing`.execute(client.db).then(
        () => null,
        (error: unknown) => error,
      );
    } finally {
      await client.close();
      proxy.close();
    }
  }

  test.each<[string, (sent: Buffer, place: number) => Buffer]>([
    ...[0x00, 0x01, 0x7f, 0xfb, 0xfe, 0xff].map((byte): [string, (sent: Buffer, place: number) => Buffer] => [
      `a byte is ${byte}`,
      (sent, place) => {
        const changed = Buffer.from(sent);
        changed[place] = byte;
        return changed;
      },
    ]),
    [
      'all that follows is random',
      (sent, place) => Buffer.concat([sent.subarray(0, place), randomBytes(500)]),
    ],
    ['all that follows is HTTP', (sent, place) => Buffer.concat([sent.subarray(0, place), HTTP])],
    [
      'all that follows is zero',
      (sent, place) => Buffer.concat([sent.subarray(0, place), Buffer.alloc(500)]),
    ],
    ['the packet ends here', (sent, place) => Buffer.from(endPacketAt(sent, place))],
    [
      'a packet of random bytes follows',
      (sent, place) => {
        const ended = endPacketAt(sent, place);
        const random = randomBytes(100);
        return Buffer.concat([ended, Buffer.from([random.length, 0, 0, 3]), random]);
      },
    ],
  ])('is reported as unavailable, wherever %s', { timeout: 60_000 }, async (_, change) => {
    const printed = [vi.spyOn(console, 'error'), vi.spyOn(console, 'trace')];
    const outcomes = await Promise.all(
      OFFSETS.map((place) =>
        queryThrough((sent, offset) =>
          place >= offset && place < offset + sent.length ? change(sent, place - offset) : sent,
        ),
      ),
    );
    for (const [index, error] of outcomes.entries())
      if (error !== null) expect(error, `byte ${OFFSETS[index]}`).toMatchObject({ kind: 'unavailable' });
    expect(outcomes.filter((error) => error !== null).length).toBeGreaterThan(5);
    for (const spy of printed) expect(spy).not.toHaveBeenCalled();
    vi.restoreAllMocks();
  });
});

const HTTP = Buffer.from('HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n');

/** Shortens the packet that contains `place`. */
function endPacketAt(sent: Buffer, place: number): Buffer {
  for (let start = 0; start < sent.length; ) {
    const end = start + 4 + sent.readUIntLE(start, 3);
    if (place < end) {
      const packet = sent.subarray(start, Math.max(place, start + 4));
      const length = Buffer.from([packet.length - 4, 0, 0]);
      return Buffer.concat([sent.subarray(0, start), length, packet.subarray(3), sent.subarray(end)]);
    }
    start = end;
  }
  return sent;
}
