import { setTimeout as delay } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { ConflictError } from '../../src/adapters/sql/stores/conflicts.js';
import { sqlDatabase } from '../../src/adapters/sql/stores/database.js';
import type { Database, Stores } from '../../src/domain/ports/index.js';
import { collect } from '../support/collect.js';
import { createMigrated, type SqlDatabaseUnderTest, type SqlEngine } from '../support/sql-engines.js';

const AT = 1_700_000_000;

export function databaseContract(engine: SqlEngine): void {
  describe(`database: ${engine.name}`, () => {
    let opened: SqlDatabaseUnderTest;
    let database: Database;

    beforeEach(async () => {
      opened = await createMigrated(engine);
      database = sqlDatabase(opened.db);
    });
    afterEach(() => opened.close());

    async function writeEverywhere({ users, securityLog, auditLog }: Stores, sub: string): Promise<void> {
      await users.add({ sub, name: null, at: AT });
      await securityLog.append({ type: 'user_disabled', sub, reason: null, at: AT, expiresAt: AT + 60 });
      await auditLog.append(auditEntry(sub));
    }

    async function subjects(): Promise<string[]> {
      return (await collect(database.users.list())).map(({ sub }) => sub);
    }

    async function counts(): Promise<{ users: number; events: number; audit: number }> {
      const count = async (table: 'users' | 'security_log' | 'audit_log') =>
        (await opened.db.selectFrom(table).selectAll().execute()).length;
      return {
        users: await count('users'),
        events: await count('security_log'),
        audit: await count('audit_log'),
      };
    }

    test('commits the writes of the work, and returns its result', async () => {
      const result = await database.transaction(async (stores) => {
        await writeEverywhere(stores, 'alice');
        return 'done';
      });
      expect(result).toBe('done');
      expect(await counts()).toEqual({ users: 1, events: 1, audit: 1 });
    });

    test('rolls back work that throws, and rethrows its error unchanged', async () => {
      const failure = new Error('the work failed');
      const work = database.transaction(async (stores) => {
        await writeEverywhere(stores, 'alice');
        throw failure;
      });
      await expect(work).rejects.toBe(failure);
      expect(await counts()).toEqual({ users: 0, events: 0, audit: 0 });
    });

    test('the work sees its own writes', async () => {
      await database.transaction(async ({ users }) => {
        await users.add({ sub: 'alice', name: 'Alice', at: AT });
        expect(await users.find('alice')).toMatchObject({ name: 'Alice' });
      });
    });

    test('runs work again after a conflict', async () => {
      let attempts = 0;
      await database.transaction(async (stores) => {
        attempts += 1;
        await writeEverywhere(stores, `attempt ${attempts}`);
        if (attempts < 3) throw new ConflictError('the engine', new Error('deadlock'), 10_000);
      });
      expect(attempts).toBe(3);
      expect(await subjects()).toEqual(['attempt 3']);
    });

    test('gives up after repeated conflicts, and keeps nothing', async () => {
      let attempts = 0;
      const work = database.transaction(async (stores) => {
        attempts += 1;
        await writeEverywhere(stores, 'alice');
        throw new ConflictError('the engine', new Error('deadlock'), 10_000);
      });
      await expect(work).rejects.toMatchObject({ kind: 'unavailable', code: 'ERR_DATABASE_CONFLICT' });
      expect(attempts).toBeGreaterThan(1);
      expect(await counts()).toEqual({ users: 0, events: 0, audit: 0 });
    });

    test('stops retrying after the time limit', async () => {
      let attempts = 0;
      const work = database.transaction(async () => {
        attempts += 1;
        await delay(30);
        throw new ConflictError('the engine', new Error('lock wait'), 50);
      });
      await expect(work).rejects.toMatchObject({ code: 'ERR_DATABASE_CONFLICT' });
      expect(attempts).toBeLessThanOrEqual(2);
    });

    test('does not retry after any other error', async () => {
      let attempts = 0;
      const work = database.transaction(async ({ users }) => {
        attempts += 1;
        await users.add({ sub: 'alice', name: null, at: AT });
        throw new TypeError('a defect');
      });
      await expect(work).rejects.toThrow(TypeError);
      expect(attempts).toBe(1);
    });

    test('16 concurrent transactions lose nothing', async () => {
      const subs = Array.from({ length: 16 }, (_, index) => `user-${String(index).padStart(2, '0')}`);
      await Promise.all(subs.map((sub) => database.transaction((stores) => writeEverywhere(stores, sub))));
      expect(await subjects()).toEqual(subs);
      expect(await counts()).toEqual({ users: 16, events: 16, audit: 16 });
    });

    test('16 concurrent transactions on one row are serialized', async () => {
      await database.users.add({ sub: 'alice', name: null, at: AT });
      const outcomes = await Promise.all(
        Array.from({ length: 16 }, (_, index) =>
          database.transaction(async ({ users, auditLog }) => {
            const outcome = await users.setStatus('alice', index % 2 === 0 ? 'disabled' : 'enabled', AT);
            await auditLog.append(auditEntry('alice'));
            return outcome;
          }),
        ),
      );
      const changes = outcomes.filter((outcome) => outcome?.changed);
      const versions = changes.map((outcome) => outcome?.user.version ?? 0).sort((a, b) => a - b);
      expect(versions).toEqual(versions.map((_, index) => index + 2));
      expect((await database.users.find('alice'))?.version).toBe(1 + changes.length);
      expect((await counts()).audit).toBe(16);
    });
  });
}

function auditEntry(target: string) {
  return { at: AT, actor: 'test', action: 'users.add', target, outcome: 'done', reason: null };
}
