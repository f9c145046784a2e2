import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { AuditLogTable } from '../../src/adapters/sql/schema.js';
import { sqlDatabase } from '../../src/adapters/sql/stores/database.js';
import type { StreamEvent } from '../../src/domain/event-stream/event.js';
import { followEvents } from '../../src/domain/event-stream/follow.js';
import {
  BEGINNING,
  parsePosition,
  positionText,
  type StreamPosition,
} from '../../src/domain/event-stream/position.js';
import { findPosition, readEvents } from '../../src/domain/event-stream/read-events.js';
import type { AuditEntry, Database } from '../../src/domain/ports/index.js';
import { runAtOnce } from '../support/processes.js';
import { createMigrated, type SqlDatabaseUnderTest, type SqlEngine } from '../support/sql-engines.js';

const AT = 1_700_000_000;
const PROCESSES = 5;
const WRITERS = 4;
const ROWS = 10;

const WRITE = `
  import { sqlDatabase } from './src/adapters/sql/stores/database.js';
  import { openMysqlWithPassword } from './test/support/open-mysql.js';
  import { openSqlite } from './src/adapters/sql/sqlite/open-sqlite.js';
  const { engine, address } = JSON.parse(process.argv[2]);
  const { db, close } =
    engine === 'sqlite'
      ? openSqlite({ file: address, timeoutMs: 60_000 })
      : openMysqlWithPassword(address, 60_000);
  const database = sqlDatabase(db);
  const write = async (writer) => {
    for (let index = 0; index < ${ROWS}; index++) {
      const sub = process.pid + '-' + writer + '-' + index;
      const row = { at: ${AT}, actor: 'a', action: 'users.enable', target: sub, outcome: 'done', reason: null };
      await database.transaction(({ auditLog }) => auditLog.append(row));
      console.log(sub);
    }
  };
  await Promise.all(Array.from({ length: ${WRITERS} }, (_, writer) => write(writer)));
  await close();
`;

export function eventStreamContract(engine: SqlEngine): void {
  describe(`event stream: ${engine.name}`, () => {
    let opened: SqlDatabaseUnderTest;
    let database: Database;

    beforeEach(async () => {
      opened = await createMigrated(engine);
      database = sqlDatabase(opened.db);
    });
    afterEach(() => opened.close());

    async function enable(...subs: string[]): Promise<void> {
      await database.transaction(({ auditLog }) => auditLog.append(...subs.map(enabled)));
    }

    async function subsAfter(from: StreamPosition): Promise<unknown[]> {
      const events: StreamEvent[] = [];
      for (let position = from; ; ) {
        const page = await readEvents(database.auditLog, position);
        if (page === null) return events.map(({ sub }) => sub);
        events.push(...page.events);
        position = page.end;
      }
    }

    async function positionOf(sub: string): Promise<StreamPosition> {
      const page = await readEvents(database.auditLog, BEGINNING);
      const found = page?.events.find((event) => event.sub === sub)?.position ?? '';
      return parsePosition(found) as StreamPosition;
    }

    async function prune(seq: number): Promise<void> {
      await opened.db.deleteFrom('audit_log').where('seq', '<=', seq).execute();
    }

    test('a follower sees each event of 20 concurrent writers once, in the order of the log', async () => {
      const { address } = opened;
      const end = new AbortController();
      const seen: StreamEvent[] = [];
      const pause = () => new Promise<void>((resolve) => setTimeout(resolve, 5));
      const options = { signal: end.signal, intervalSeconds: 1, onFailure: () => {} };
      const following = (async () => {
        const { auditLog } = sqlDatabase(opened.connect());
        for await (const events of followEvents({ auditLog, clock: { pause } }, BEGINNING, options)) {
          seen.push(...events);
          if (seen.length === PROCESSES * WRITERS * ROWS) end.abort();
        }
      })();
      const outputs = await runAtOnce(PROCESSES, WRITE, JSON.stringify({ engine: engine.engine, address }));
      await following;
      const written = outputs.flatMap((output) => output.trim().split('\n'));
      expect(seen.map(({ sub }) => String(sub)).sort()).toEqual(written.sort());
      const order = seen.map(({ position }) => parsePosition(position)?.seq);
      expect(order).toEqual(written.map((_, index) => index + 1));
    });

    test('continues after each position, over several pages', async () => {
      const subs = Array.from({ length: 1_003 }, (_, index) => `user-${index}`);
      await enable(...subs);
      expect(await subsAfter(BEGINNING)).toEqual(subs);
      for (const from of [1, 999, 1_000, 1_002]) {
        const found = await findPosition(database.auditLog, { seq: from, hash: '' });
        expect(await subsAfter(found)).toEqual(subs.slice(from));
      }
    });

    test('reads no row that another program added beyond the end, and misses none below it', async () => {
      await enable('alice');
      const [first] = await opened.db.selectFrom('audit_log').selectAll().execute();
      const planted = { ...(first as AuditLogTable), seq: 1_000, target: 'mallory' };
      await opened.db.insertInto('audit_log').values(planted).execute();
      expect(await subsAfter(BEGINNING)).toEqual(['alice']);
      const position = await positionOf('alice');
      await enable('bob');
      expect(await subsAfter(position)).toEqual(['bob']);
    });

    test('continues after the last row that was pruned, and not before it', async () => {
      await enable('alice', 'bob', 'carol', 'dave');
      const [alice, bob, carol] = await Promise.all(['alice', 'bob', 'carol'].map(positionOf));
      await prune(2);
      expect(await subsAfter(bob as StreamPosition)).toEqual(['carol', 'dave']);
      expect(await findPosition(database.auditLog, { seq: 2, hash: '' })).toMatchObject({ seq: 2 });
      expect(await subsAfter(carol as StreamPosition)).toEqual(['dave']);
      expect(await subsAfter(BEGINNING)).toEqual(['carol', 'dave']);
      const oldest = positionText(bob as StreamPosition);
      for (const position of [alice as StreamPosition, { seq: 1, hash: '' }]) {
        const error = { code: 'ERR_POSITION_PRUNED', details: { oldest } };
        await expect(findPosition(database.auditLog, position)).rejects.toMatchObject(error);
      }
      await expect(readEvents(database.auditLog, alice as StreamPosition)).rejects.toMatchObject({
        code: 'ERR_POSITION_PRUNED',
        kind: 'state',
        message: expect.stringContaining(oldest),
      });
    });

    test('refuses a position that the log does not have, or that has another row since a restore', async () => {
      await enable('alice', 'bob', 'carol');
      const [bob, carol] = await Promise.all(['bob', 'carol'].map(positionOf));
      const backup = await opened.db.selectFrom('audit_head').selectAll().executeTakeFirstOrThrow();
      const [, second] = await opened.db.selectFrom('audit_log').selectAll().execute();
      await opened.db.deleteFrom('audit_log').where('seq', '=', 3).execute();
      await opened.db
        .updateTable('audit_head')
        .set({ ...backup, seq: 2, hash: second?.hash })
        .execute();
      const unknown = { code: 'ERR_POSITION_UNKNOWN', kind: 'state' };
      const assertUnknown = async () => {
        for (const read of [readEvents, findPosition])
          await expect(read(database.auditLog, carol as StreamPosition)).rejects.toMatchObject(unknown);
      };
      await assertUnknown();
      await enable('dave');
      await assertUnknown();
      await enable('erin');
      await assertUnknown();
      expect(await subsAfter(bob as StreamPosition)).toEqual(['dave', 'erin']);
    });

    test('waits for rows that a lagging replica does not show yet', async () => {
      await enable('alice');
      const position = await positionOf('alice');
      await enable('bob');
      const rows = async function* () {};
      expect(await readEvents({ ...database.auditLog, rows }, position)).toBeNull();
    });
  });
}

function enabled(sub: string): AuditEntry {
  return { at: AT, actor: 'ops', action: 'users.enable', target: sub, outcome: 'done', reason: null };
}
