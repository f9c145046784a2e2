import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { sqlDatabase } from '../../src/adapters/sql/stores/database.js';
import { EventDelivery } from '../../src/domain/event-stream/deliver.js';
import { parsePosition, type StreamPosition } from '../../src/domain/event-stream/position.js';
import type { Database } from '../../src/domain/ports/index.js';
import { MovableClock } from '../support/cli.js';
import { parseNdjson } from '../support/ndjson.js';
import { createMigrated, type SqlDatabaseUnderTest, type SqlEngine } from '../support/sql-engines.js';

export function eventDeliveryContract(engine: SqlEngine): void {
  describe(`event delivery: ${engine.name}`, () => {
    let opened: SqlDatabaseUnderTest;
    let database: Database;
    let sent: string[];
    let warnings: string[];
    const clock = new MovableClock();

    beforeEach(async () => {
      opened = await createMigrated(engine);
      database = sqlDatabase(opened.db);
      sent = [];
      warnings = [];
      await disable('before');
    });
    afterEach(() => opened.close());

    async function disable(...subs: string[]): Promise<void> {
      const row = { at: 1, actor: 'ops', action: 'users.disable', outcome: 'done', reason: null };
      await database.transaction(({ auditLog }) =>
        auditLog.append(...subs.map((target) => ({ ...row, target }))),
      );
    }

    /** A process of its own. */
    function process(before: (subs: string[]) => Promise<void> = async () => {}): EventDelivery {
      const send = async (lines: string) => {
        const subs = parseNdjson(lines).map(({ sub }) => sub);
        await before(subs);
        sent.push(...subs);
      };
      const ports = { database: sqlDatabase(opened.connect()), clock, send };
      return new EventDelivery({ ...ports, warn: (text) => warnings.push(text) }, 30);
    }

    async function stored() {
      const row = await opened.db.selectFrom('event_consumers').selectAll().executeTakeFirst();
      return { ...row, seq: parsePosition(row?.position ?? '')?.seq };
    }

    async function endLease(): Promise<void> {
      await opened.db.updateTable('event_consumers').set({ leased_until: 1 }).execute();
    }

    test('begins with the events after its first run, and delivers each once and in order', async () => {
      const host = process();
      expect(await host.deliver()).toMatchObject({ events: 0, isHolder: true, position: { seq: 1 } });
      const subs = Array.from({ length: 1_002 }, (_, index) => `user-${index}`);
      await disable(...subs);
      expect(await host.deliver()).toMatchObject({ events: 1_002, isHolder: true });
      expect(await host.deliver()).toMatchObject({ events: 0, isHolder: true });
      expect(sent).toEqual(subs);
      expect(await stored()).toMatchObject({ seq: 1_003 });
    });

    test('counts what is not delivered, at most a given number of pages', async () => {
      const host = process();
      await host.deliver();
      await disable(...Array.from({ length: 1_002 }, (_, index) => `user-${index}`));
      expect(await host.backlog()).toMatchObject({ events: 1_002, isComplete: true, since: 1 });
      expect(await host.backlog({ pages: 1 })).toMatchObject({ events: 1_000, isComplete: false, since: 1 });
      expect(await host.backlog({ pages: 2 })).toMatchObject({ events: 1_002, isComplete: true });
    });

    test('only the process with the lease delivers, and another one continues after it', async () => {
      const [one, other] = [process(), process()];
      await one.deliver();
      expect(await other.deliver()).toMatchObject({ isHolder: false });
      await disable('alice');
      expect(await other.deliver()).toMatchObject({ isHolder: false });
      await one.deliver();
      await one.release();
      await disable('bob');
      expect(await other.deliver()).toMatchObject({ events: 1, isHolder: true });
      expect(await one.deliver()).toMatchObject({ isHolder: false });
      expect(sent).toEqual(['alice', 'bob']);
    });

    test('two hosts at once deliver each event once', async () => {
      const hosts = [process(), process()];
      await hosts[0]?.deliver();
      for (let round = 0; round < 10; round++) {
        await disable(`a-${round}`, `b-${round}`);
        await Promise.all(hosts.map((host) => host.deliver()));
        await Promise.all(hosts.map((host) => host.release()));
        await Promise.all(hosts.map((host) => host.deliver()));
      }
      expect(sent).toEqual(Array.from({ length: 10 }, (_, round) => [`a-${round}`, `b-${round}`]).flat());
    });

    test('delivers again what a consumer did not handle, also by another process at once', async () => {
      let isBroken = true;
      const broken = process(async () => {
        if (isBroken) throw new Error('broken');
      });
      await broken.deliver();
      await disable('alice', 'bob');
      await expect(broken.deliver()).rejects.toThrow('broken');
      expect(broken.pendingSince).toBe(1);
      expect(await stored()).toMatchObject({ seq: 1, leased_until: 0 });
      isBroken = false;
      expect(await broken.deliver()).toMatchObject({ events: 2 });
      expect(broken.pendingSince).toBeNull();
      expect(sent).toEqual(['alice', 'bob']);

      isBroken = true;
      await disable('carol');
      await expect(broken.deliver()).rejects.toThrow('broken');
      expect(await process().deliver()).toMatchObject({ events: 1, isHolder: true });
      expect(sent).toEqual(['alice', 'bob', 'carol']);
    });

    test('delivers again what a process delivered that died before it stored the position', async () => {
      const dying = process(async (subs) => {
        sent.push(...subs);
        await new Promise(() => {});
      });
      await dying.deliver();
      await disable('alice');
      void dying.deliver();
      while (sent.length === 0) await new Promise((resolve) => setTimeout(resolve, 1));
      const next = process();
      expect(await next.deliver()).toMatchObject({ events: 0, isHolder: false });
      await endLease();
      expect(await next.deliver()).toMatchObject({ events: 1, isHolder: true });
      expect(sent).toEqual(['alice', 'alice']);
    });

    test('a process that stalled for longer than its lease does not move the position back', async () => {
      const other = process();
      const stalled = process(async (subs) => {
        if (subs[0] !== 'alice') return;
        await endLease();
        await disable('bob');
        await other.deliver();
      });
      await stalled.deliver();
      await disable('alice');
      expect(await stalled.deliver()).toMatchObject({ isHolder: false });
      expect(sent).toEqual(['alice', 'bob', 'alice']);
      expect(await stored()).toMatchObject({ seq: 3 });
      await endLease();
      await disable('carol');
      expect(await stalled.deliver()).toMatchObject({ events: 1 });
      expect(sent.slice(3)).toEqual(['carol']);
    });

    test('renews its lease before it sends, and while it waits', async () => {
      const host = process();
      await host.deliver();
      await opened.db.updateTable('event_consumers').set({ leased_until: 1 }).execute();
      await host.deliver();
      expect(await stored()).toMatchObject({ leased_until: 1 });
      clock.advance(30);
      await host.deliver();
      expect((await stored()).leased_until).toBeGreaterThan(Date.now() / 1000 + 30);
      await opened.db.updateTable('event_consumers').set({ leased_until: 1 }).execute();
      await disable('alice');
      await host.deliver();
      expect((await stored()).leased_until).toBeGreaterThan(Date.now() / 1000 + 30);
    });

    test('continues with the oldest event if rows were pruned, and warns', async () => {
      const host = process();
      await host.deliver();
      await disable('alice', 'bob', 'carol');
      await opened.db.deleteFrom('audit_log').where('seq', '<=', 2).execute();
      expect(await host.deliver()).toMatchObject({ events: 2 });
      expect(sent).toEqual(['bob', 'carol']);
      expect(warnings).toEqual([expect.stringContaining('Events are missing')]);
    });

    test('stops at a position that the log does not have, until it is moved', async () => {
      const host = process();
      await host.deliver();
      await host.release();
      await disable('alice');
      for (const position of [`1-${'0'.repeat(16)}`, 'x']) {
        await opened.db.updateTable('event_consumers').set({ position }).execute();
        await expect(process().deliver()).rejects.toMatchObject({ code: 'ERR_POSITION_UNKNOWN' });
      }
      const one: StreamPosition = { seq: 1, hash: '' };
      expect(await host.moveTo(one)).toBe(true);
      await host.deliver();
      expect(sent).toEqual(['alice']);
    });
  });
}
