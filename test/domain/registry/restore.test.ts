import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { Context } from '../../../src/app/context.js';
import {
  type BackupEntry,
  type BackupPart,
  type BackupReader,
  MAX_CHUNK_ENTRIES,
} from '../../../src/domain/ports/backup-file.js';
import type { Database } from '../../../src/domain/ports/index.js';
import {
  type RestorationInput,
  type RestorationPorts,
  type RestorationReport,
  restore,
} from '../../../src/domain/registry/restore.js';
import { JwtctlError } from '../../../src/domain/shared/errors.js';
import { revokeGlobally, revokeSubject } from '../../../src/domain/tokens/revoke.js';
import { removeUser } from '../../../src/domain/users/manage.js';
import { openContext } from '../../support/opened-context.js';
import { registerOne } from '../../support/registering.js';
import { BACKENDS, openStores, type Stores } from '../../support/stores.js';

const LIFETIMES = {
  clockToleranceSeconds: 5,
  maxTtlSeconds: 86_400,
  refreshTtlSeconds: 3_600,
  statusTtlSeconds: 60,
};
const POLICY = { clockToleranceSeconds: 5, statusTtlSeconds: 60 };

describe.each(BACKENDS)('a restoration, on %s', { timeout: 60_000 }, (backend) => {
  let stores: Stores;
  let context: Context;
  let ports: RestorationPorts;
  let now: number;

  beforeEach(async () => {
    stores = await openStores(backend);
    await stores.json('keys', 'generate', '--kid', 'k1');
    for (const sub of ['alice', 'bob']) await stores.json('users', 'add', sub);
    context = await openContext(stores);
    ports = { ...(await context.administration()), users: await context.users() };
    now = ports.clock.now();
  });
  afterEach(async () => {
    await context?.dispose();
    await stores?.close();
  });

  function entry(jti: string, parts: Partial<BackupEntry> = {}): BackupEntry {
    return { sub: 'alice', kid: 'k1', jti, iat: now - 10, exp: now + 3_600, meta: null, ...parts };
  }

  /** Returns a backup of these chunks. `between` runs before each chunk except the first. */
  function backup(
    chunks: ReadonlyArray<readonly BackupEntry[]>,
    between: () => Promise<void> | void = () => {},
  ): BackupReader {
    return {
      facts: { createdAt: now, backend: 'sqlite', prefix: '' },
      parts: async function* (): AsyncGenerator<BackupPart> {
        for (const [index, entries] of chunks.entries()) {
          if (index > 0) await between();
          yield { kind: 'entries', entries: [...entries] };
        }
      },
    };
  }

  function runRestore(
    chunks: ReadonlyArray<readonly BackupEntry[]> | BackupReader,
    options: Partial<RestorationInput> & { ports?: Partial<RestorationPorts> } = {},
  ): Promise<RestorationReport> {
    const { ports: replaced = {}, ...input } = options;
    const read = 'facts' in chunks ? chunks : backup(chunks);
    return restore({ ...ports, ...replaced }, POLICY, {
      backup: read,
      source: 'm',
      dryRun: false,
      ...input,
    });
  }

  async function jtis(sub: string): Promise<string[]> {
    return (await ports.registry.list(sub, now)).map(({ jti }) => jti).sort();
  }

  /** Runs `step` just before each chunk is registered. */
  function registryAfter(step: () => Promise<unknown>): RestorationPorts['registry'] {
    const { registry } = ports;
    return new Proxy(registry, {
      get: (target, name) => {
        if (name === 'registerMany') {
          return async (...args: Parameters<typeof registry.registerMany>) => {
            await step();
            return target.registerMany(...args);
          };
        }
        const value = Reflect.get(target, name, target);
        return typeof value === 'function' ? value.bind(target) : value;
      },
    });
  }

  test('restores entries with their lifetime, meta, and user status', async () => {
    const report = await runRestore([
      [entry('a', { meta: { device: 'phone' } })],
      [entry('b', { sub: 'bob', exp: now + 60 })],
    ]);
    expect(report).toMatchObject({ entries: 2, restored: 2, complete: true, missed: [] });
    expect(await ports.registry.list('alice', now)).toMatchObject([
      { jti: 'a', exp: now + 3_600, meta: { device: 'phone' } },
    ]);
    const { id: keyId = 0 } = (await ports.database.keys.find('k1')) ?? {};
    expect(await ports.registry.tokenStatus('bob', { jti: 'b', keyId, iat: now - 10 }, now)).toMatchObject({
      ...{ exp: now + 60, user: { status: 'enabled' } },
    });
  });

  test('counts existing entries separately, unless their lifetime differs', async () => {
    await runRestore([[entry('a'), entry('b')]]);
    const again = [entry('a'), entry('b', { exp: now + 60 }), entry('c')];
    expect(await runRestore([again], { dryRun: true })).toMatchObject({ restored: 2, unchanged: 1 });
    expect(await runRestore([again])).toMatchObject({ entries: 3, restored: 2, unchanged: 1 });
  });

  test('restores tokens within the clock tolerance', async () => {
    // The first one keeps the set alive, which Redis would expire by its own clock.
    const chunk = [entry('c'), entry('a', { exp: now - 4 }), entry('b', { exp: now - 5 })];
    expect(await runRestore([chunk])).toMatchObject({ restored: 2, skipped: { expired: 1 } });
    expect(await jtis('alice')).toEqual(['a', 'c']);
  });

  test('counts an entry under its first skip reason', async () => {
    await removeUser(ports, LIFETIMES, { sub: 'bob', reason: null, dryRun: false });
    const gone = { sub: 'bob', kid: 'k9' };
    const { skipped } = await runRestore([
      [
        entry('a\nb', { ...gone, exp: now - 100 }),
        entry('c', { ...gone, exp: now - 100 }),
        entry('d', gone),
        entry('e', { sub: 'bob' }),
        entry('f', { sub: 'bob', iat: now + 100, exp: now + 200 }),
        entry('g', { sub: 'a\u0000b' }),
        entry('h', { kid: null }),
      ],
    ]);
    expect(skipped).toEqual({
      ...{ malformed: 2, expired: 1, keyNotTrusted: 2, revoked: 1, userUnknown: 1, userDisabled: 0 },
    });
  });

  test('asks each store once per chunk', async () => {
    const calls: string[] = [];
    const recording = <T extends object>(of: string, target: T): T =>
      new Proxy(target, {
        get: (inner, name) => {
          const value = Reflect.get(inner, name, inner);
          if (typeof value !== 'function') return value;
          return (...args: unknown[]) => {
            calls.push(`${of}.${String(name)}`);
            return value.apply(inner, args);
          };
        },
      });
    const { database, users } = ports;
    const recorded: Database = {
      ...database,
      keys: recording('keys', database.keys),
      securityLog: recording('log', database.securityLog),
    };
    const chunk = Array.from({ length: 1_000 }, (_, index) => entry(`j${index}`, { sub: `s${index % 50}` }));
    await runRestore([[...chunk, entry('a')], [entry('b')]], {
      ports: { database: recorded, users: recording('users', users) },
    });
    const log = ['log.findNaming', 'log.findGlobal'];
    expect(calls.sort()).toEqual([
      ...['keys.snapshot', 'keys.snapshot'],
      ...[log, log, log, log].flat().sort(),
      ...['users.findMany', 'users.findMany'],
    ]);
  });

  test.each([
    {
      what: 'a revocation of a subject',
      revoke: () => revokeSubject(ports, LIFETIMES, { sub: 'alice' }, { reason: null, dryRun: false }),
    },
    {
      what: 'a revocation of everything',
      revoke: () =>
        revokeGlobally(
          ports,
          LIFETIMES,
          { issuedBefore: ports.clock.now() },
          { reason: null, dryRun: false },
        ),
    },
    {
      what: 'the removal of a user',
      revoke: () => removeUser(ports, LIFETIMES, { sub: 'alice', reason: null, dryRun: false }),
    },
  ])('respects $what during the registration of a chunk', async ({ revoke }) => {
    // It has updated the registry before the entries are registered.
    const registry = registryAfter(revoke);
    const chunk = [entry('a'), entry('b')];
    const report = await runRestore([chunk], { ports: { registry } });
    expect(report).toMatchObject({ restored: 0, skipped: { revoked: 2 }, complete: true });
    expect(await jtis('alice')).toEqual([]);
  });

  test('removes only its own revoked entries', async () => {
    const { id: keyId = 0 } = (await ports.database.keys.find('k1')) ?? {};
    const registry = registryAfter(async () => {
      await revokeSubject(
        ports,
        LIFETIMES,
        { sub: 'alice', issuedBefore: now - 5 },
        { reason: null, dryRun: false },
      );
      await registerOne(ports.registry, 'alice', { jti: 'new', keyId, iat: now, exp: now + 60 }, { now });
    });
    const report = await runRestore([[entry('a'), entry('b', { sub: 'bob' }), entry('c', { iat: now })]], {
      ports: { registry },
    });
    expect(report).toMatchObject({ restored: 2, skipped: { revoked: 1 } });
    expect([await jtis('alice'), await jtis('bob')]).toEqual([['c', 'new'], ['b']]);
  });

  test('sees changes between two chunks', async () => {
    const between = async () => {
      await stores.json('users', 'disable', 'bob');
      await stores.json('keys', 'generate', '--kid', 'k2');
    };
    const read = backup(
      [
        [entry('a', { sub: 'bob' }), entry('b', { kid: 'k2' })],
        [entry('c', { sub: 'bob' }), entry('d', { kid: 'k2' })],
      ],
      between,
    );
    expect(await runRestore(read)).toMatchObject({
      ...{ restored: 2, skipped: { userDisabled: 1, keyNotTrusted: 1 } },
    });
    expect(await jtis('alice')).toEqual(['d']);
  });

  test('counts the same in a dry run, and changes nothing', async () => {
    const chunks = [[entry('a'), entry('b', { sub: 'unknown' })]];
    const before = await stores.content();
    const planned = await runRestore(chunks, { dryRun: true });
    expect(await stores.content()).toBe(before);
    expect(planned).toEqual(await runRestore(chunks));
  });

  test('stops before the next chunk when interrupted, and can be repeated', async () => {
    const controller = new AbortController();
    const chunks = [[entry('a')], [entry('b')]];
    const read = backup(chunks, () => controller.abort());
    expect(await runRestore(read, { signal: controller.signal })).toMatchObject({
      ...{ restored: 1, complete: false, missed: [expect.stringContaining('interrupted')] },
    });
    expect(await jtis('alice')).toEqual(['a']);
    expect(await runRestore(chunks)).toMatchObject({ restored: 1, unchanged: 1, complete: true });
    expect(await jtis('alice')).toEqual(['a', 'b']);
  });

  test('reports what was restored if a store fails midway, and rejects if it fails at the start', async () => {
    const unreachable = new JwtctlError('ERR_REDIS_UNREACHABLE', 'Redis cannot be reached.');
    let chunks = 0;
    const registry = registryAfter(async () => {
      if (++chunks >= 2) throw unreachable;
    });
    expect(
      await runRestore([[entry('a')], [entry('b')], [entry('c')]], { ports: { registry } }),
    ).toMatchObject({
      ...{ restored: 1, complete: false, missed: [expect.stringContaining('cannot be reached')] },
    });
    expect(await jtis('alice')).toEqual(['a']);
    const gone = registryAfter(() => Promise.reject(unreachable));
    await expect(runRestore([[entry('a')]], { ports: { registry: gone } })).rejects.toBe(unreachable);
  });

  test('continues after a short failure of a store', async () => {
    const unreachable = new JwtctlError('ERR_REDIS_UNREACHABLE', 'Redis cannot be reached.');
    let chunks = 0;
    const registry = registryAfter(async () => {
      if (++chunks === 2) throw unreachable;
    });
    const chunk = [entry('b', { meta: { device: 'phone' } })];
    const report = await runRestore([[entry('a')], chunk, [entry('c')]], { ports: { registry } });
    expect(report).toMatchObject({ restored: 3, complete: true, missed: [] });
    expect(await jtis('alice')).toEqual(['a', 'b', 'c']);
  });

  test('reports a damaged chunk, and restores the rest', async () => {
    const read: BackupReader = {
      ...backup([]),
      parts: async function* (): AsyncGenerator<BackupPart> {
        yield { kind: 'lost', what: 'Chunk 1 cannot be decrypted.' };
        yield { kind: 'entries', entries: [entry('b')] };
      },
    };
    expect(await runRestore(read)).toMatchObject({
      ...{ restored: 1, complete: false, missed: ['Chunk 1 cannot be decrypted.'] },
    });
  });

  test('restores a full chunk with thousands of revocations of one subject in time', async () => {
    const jtiOf = (index: number) => `j${index}`;
    const count = MAX_CHUNK_ENTRIES;
    await ports.database.transaction(async ({ securityLog }) => {
      for (let index = 0; index < count; index += 2) {
        const event = { type: 'token_revoked', sub: 'alice', jti: jtiOf(index) } as const;
        await securityLog.append({ ...event, reason: null, at: now, expiresAt: now + 4_000 });
      }
    });
    const chunk = Array.from({ length: count }, (_, index) => entry(jtiOf(index)));
    const report = await runRestore([chunk]);
    expect(report).toMatchObject({ restored: count / 2, skipped: { revoked: count / 2 } });
  });

  test('reads a real file in small pieces', async () => {
    await stores.json('token', 'issue', '--sub', 'alice');
    await stores.json('cache', 'snapshot', 's');
    const bytes = readFileSync(join(stores.home, 's'));
    async function* pieces() {
      for (let from = 0; from < bytes.length; from += 10) yield bytes.subarray(from, from + 10);
    }
    const read = await (await context.backups()).open(pieces(), 's');
    const told: number[] = [];
    expect(await runRestore(read, { onProgress: (entries) => told.push(entries) })).toMatchObject({
      ...{ restored: 0, unchanged: 1 },
    });
    expect(told).toEqual([1]);
  });
});
