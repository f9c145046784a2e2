import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { Context } from '../../../src/app/context.js';
import { createPrivateFile } from '../../../src/app/private-file.js';
import { type BackupEntry, MAX_CHUNK_ENTRIES } from '../../../src/domain/ports/backup-file.js';
import type { Administration, PrivateFile, TokenRegistry } from '../../../src/domain/ports/index.js';
import { type FlushInput, type FlushReport, flush } from '../../../src/domain/registry/flush.js';
import { takeSnapshot } from '../../../src/domain/registry/snapshot.js';
import { JwtctlError } from '../../../src/domain/shared/errors.js';
import { openContext } from '../../support/opened-context.js';
import { keyIds } from '../../support/planted-entries.js';
import { BACKENDS, openStores, type Stores } from '../../support/stores.js';

const SUBJECTS = 600;
/** More than two chunks. */
const ENTRIES = 2 * MAX_CHUNK_ENTRIES + 1_000;

describe.each(BACKENDS)('a flush with a backup, on %s', { timeout: 120_000 }, (backend) => {
  let stores: Stores;
  let context: Context;
  let ports: Administration;
  let everything: string[];

  beforeEach(async () => {
    stores = await openStores(backend);
    await stores.json('keys', 'generate', '--kid', 'k1');
    context = await openContext(stores);
    ports = await context.administration();
    const { k1: keyId = 0 } = await keyIds(stores);
    const now = ports.clock.now();
    const registrations = Array.from({ length: ENTRIES }, (_, index) => ({
      sub: index < 3_000 ? 'crowded' : `s${index % SUBJECTS}`,
      entry: { jti: `j${index}`, keyId, iat: now - (index % 10), exp: now + 3_600 },
      now,
    }));
    await ports.registry.registerMany(registrations);
    everything = registrations.map(({ entry }) => entry.jti).sort();
  });
  afterEach(async () => {
    await context?.dispose();
    await stores?.close();
  });

  function file(name = 'm'): PrivateFile {
    return createPrivateFile(name, stores.home);
  }

  async function runFlush(
    options: { registry?: Partial<TokenRegistry>; file?: PrivateFile; input?: Partial<FlushInput> } = {},
  ): Promise<FlushReport> {
    const registry = withReplaced(ports.registry, options.registry ?? {});
    const input: FlushInput = { filter: {}, target: 'all', ...options.input };
    return flush({ ...ports, registry }, input, {
      backups: await context.backups(),
      file: options.file ?? file(),
    });
  }

  async function readBackup(name = 'm'): Promise<{ jtis: string[]; lost: string[]; largest: number }> {
    const bytes = readFileSync(join(stores.home, name));
    const reader = await (await context.backups()).open(
      (async function* () {
        yield bytes;
      })(),
      name,
    );
    const chunks: BackupEntry[][] = [];
    const lost: string[] = [];
    for await (const part of reader.parts()) {
      if (part.kind === 'entries') chunks.push(part.entries);
      else lost.push(part.what);
    }
    const jtis = chunks.flat().map(({ jti }) => jti);
    return { jtis: jtis.sort(), lost, largest: Math.max(0, ...chunks.map(({ length }) => length)) };
  }

  async function liveJtis(): Promise<string[]> {
    const jtis: string[] = [];
    const collect = (subjects: Parameters<Parameters<TokenRegistry['scan']>[0]>[0]) => {
      jtis.push(...subjects.flatMap(({ entries }) => entries.map(({ jti }) => jti)));
    };
    expect(await ports.registry.scan(collect, { now: ports.clock.now() })).toMatchObject({ complete: true });
    return jtis.sort();
  }

  /** Each entry must be in the registry or in a readable backup. */
  async function expectNothingLost(): Promise<{ inFile: number; left: number }> {
    const [{ jtis }, left] = [await readBackup(), await liveJtis()];
    expect([...new Set([...jtis, ...left])].sort()).toEqual(everything);
    return { inFile: jtis.length, left: left.length };
  }

  function unreachable(): JwtctlError {
    return new JwtctlError('ERR_REDIS_UNREACHABLE', 'Redis cannot be reached.');
  }

  test('removes only entries that match every member of the filter', async () => {
    const filter = { jti: 'j5', issuedBefore: ports.clock.now() };
    expect(await runFlush({ input: { filter } })).toMatchObject({ matched: 1, removed: 1, subjects: 1 });
    expect((await readBackup()).jtis).toEqual(['j5']);
    expect(await liveJtis()).toEqual(everything.filter((jti) => jti !== 'j5'));
  });

  test('writes every entry in bounded chunks, and counts it once', async () => {
    const report = await runFlush();
    expect(report).toMatchObject({
      ...{ matched: ENTRIES, removed: ENTRIES, complete: true, missed: [] },
      byKid: [{ kid: 'k1', state: 'active', entries: ENTRIES }],
    });
    expect(report.subjects).toBe(SUBJECTS + 1);
    expect(report.byNode.reduce((sum, { removed }) => sum + removed, 0)).toBe(ENTRIES);
    expect(report.byNode.reduce((sum, { matched }) => sum + matched, 0)).toBe(ENTRIES);
    const { jtis, lost, largest } = await readBackup();
    expect([jtis, lost, largest]).toEqual([everything, [], MAX_CHUNK_ENTRIES]);
    expect(await liveJtis()).toEqual([]);
  });

  test('writes an entry to disk before removing it', async () => {
    let removals = 0;
    await runFlush({
      registry: {
        removeEntries: async (subjects, now) => {
          const onDisk = new Set((await readBackup()).jtis);
          const going = subjects.flatMap(({ entries }) => entries.map(({ jti }) => jti));
          expect(going.filter((jti) => !onDisk.has(jti))).toEqual([]);
          removals += 1;
          return ports.registry.removeEntries(subjects, now);
        },
      },
    });
    expect(removals).toBeGreaterThanOrEqual(3);
  });

  test('of one subject reads only that subject’s key', async () => {
    const report = await runFlush({
      input: { sub: 'crowded', filter: { issuedBefore: ports.clock.now() - 5 } },
    });
    expect(report).toMatchObject({ matched: 1_500, removed: 1_500, subjects: 1, complete: true });
    expect(report.byNode.filter(({ removed }) => removed > 0)).toEqual([
      expect.objectContaining({ matched: 1_500, removed: 1_500 }),
    ]);
    expect(await expectNothingLost()).toEqual({ inFile: 1_500, left: ENTRIES - 1_500 });
  });

  test('reports an interruption, and the next run finishes', async () => {
    const controller = new AbortController();
    const report = await runFlush({
      registry: {
        removeEntries: async (subjects, now) => {
          const outcome = await ports.registry.removeEntries(subjects, now);
          controller.abort();
          return outcome;
        },
      },
      input: { signal: controller.signal },
    });
    expect(report).toMatchObject({
      ...{ matched: MAX_CHUNK_ENTRIES, removed: MAX_CHUNK_ENTRIES, complete: false },
      missed: [expect.stringContaining('interrupted')],
    });
    expect(await expectNothingLost()).toEqual({
      ...{ inFile: MAX_CHUNK_ENTRIES, left: ENTRIES - MAX_CHUNK_ENTRIES },
    });
    expect((await readBackup()).lost).toEqual([expect.stringContaining('did not finish')]);

    const rest = ENTRIES - MAX_CHUNK_ENTRIES;
    expect(await runFlush({ file: file('n') })).toMatchObject({ removed: rest, complete: true });
    expect([...(await readBackup('m')).jtis, ...(await readBackup('n')).jtis].sort()).toEqual(everything);
    const rows = await stores.query(
      "SELECT outcome, reason FROM audit_log WHERE action = 'cache.flush' ORDER BY seq",
    );
    expect(rows.map(({ outcome }) => outcome)).toEqual(['begun', 'partial', 'begun', 'done']);
    expect(rows[1]?.reason).toContain('4,096 entries removed');
  });

  test('reports an interruption after the scan', async () => {
    const controller = new AbortController();
    let removed = 0;
    const report = await runFlush({
      registry: {
        scan: async (take, options) => {
          const outcome = await ports.registry.scan(take, options);
          controller.abort();
          return outcome;
        },
        removeEntries: async (subjects, now) => {
          const outcome = await ports.registry.removeEntries(subjects, now);
          removed += outcome.removed;
          return outcome;
        },
      },
      input: { signal: controller.signal },
    });
    expect(report).toMatchObject({ complete: false, missed: [expect.stringContaining('interrupted')] });
    expect(report.removed).toBe(removed);
    expect(removed % MAX_CHUNK_ENTRIES).toBe(0);
    await expectNothingLost();
  });

  test('keeps the entries of a node that fails, and removes the rest', async () => {
    let removals = 0;
    let kept = 0;
    const report = await runFlush({
      registry: {
        removeEntries: async (subjects, now) => {
          if (++removals === 2) {
            kept = subjects.reduce((sum, { entries }) => sum + entries.length, 0);
            throw unreachable();
          }
          return ports.registry.removeEntries(subjects, now);
        },
      },
    });
    expect(report).toMatchObject({
      ...{ matched: ENTRIES, removed: ENTRIES - kept, complete: false },
      ...{ backup: join(stores.home, 'm'), missed: [expect.stringContaining('cannot be reached')] },
    });
    expect(kept).toBeGreaterThan(0);
    expect(await expectNothingLost()).toMatchObject({ inFile: ENTRIES, left: kept });
  });

  test('reports that more may have been removed if a node fails during a removal', async () => {
    let removals = 0;
    const report = await runFlush({
      registry: {
        removeEntries: async (subjects, now) => {
          const outcome = await ports.registry.removeEntries(subjects, now);
          if (++removals > 1) return outcome;
          const byNode = outcome.byNode.map(({ node, removed }) => ({ node, removed: removed - 1 }));
          return { ...outcome, removed: outcome.removed - 1, byNode, failure: unreachable() };
        },
      },
    });
    expect(report).toMatchObject({
      ...{ matched: ENTRIES, removed: ENTRIES - 1, complete: false },
      missed: [expect.stringMatching(/more may have been removed than was counted.*cannot be reached/)],
    });
  });

  test('does not ask a node again after a timeout, and reports it', async () => {
    const asked: string[] = [];
    let silent = '';
    const nodeOf = new Map<string, string>();
    const report = await runFlush({
      registry: {
        scan: (take, options) =>
          ports.registry.scan((subjects) => {
            for (const { sub, node } of subjects) nodeOf.set(sub, node);
            return take(subjects);
          }, options),
        removeEntries: async (subjects, now) => {
          const node = nodeOf.get(subjects[0]?.sub ?? '') ?? '';
          asked.push(node);
          silent ||= node;
          if (node !== silent) return ports.registry.removeEntries(subjects, now);
          const cause = Object.assign(new Error('No answer.'), { code: 'ETIMEDOUT' });
          throw new JwtctlError('ERR_REDIS_UNREACHABLE', 'Redis timed out.', { cause });
        },
      },
    });
    expect(asked.filter((node) => node === silent)).toHaveLength(1);
    expect(report).toMatchObject({ matched: ENTRIES, complete: false });
    expect(report.missed).toEqual([expect.stringContaining(silent)]);
    const kept = report.byNode.find(({ node }) => node === silent)?.matched ?? 0;
    expect(report.removed).toBe(ENTRIES - kept);
    expect(await expectNothingLost()).toMatchObject({ inFile: ENTRIES, left: kept });
  });

  test('fails and leaves no file if the registry is down from the start', async () => {
    const attempt = runFlush({ registry: { scan: () => Promise.reject(unreachable()) } });
    await expect(attempt).rejects.toMatchObject({ code: 'ERR_REDIS_UNREACHABLE' });
    expect(() => readFileSync(join(stores.home, 'm'))).toThrow('ENOENT');
    expect(await liveJtis()).toEqual(everything);
  });

  test('keeps the file if the outcome of the first removal is unknown', async () => {
    const report = await runFlush({
      registry: {
        removeEntries: async (subjects, now) => {
          await ports.registry.removeEntries(subjects, now);
          throw unreachable();
        },
      },
    });
    expect(report).toMatchObject({ matched: ENTRIES, removed: 0, complete: false });
    expect(report.missed).toHaveLength(stores.isCluster ? 3 : 1);
    expect(await expectNothingLost()).toEqual({ inFile: ENTRIES, left: 0 });
    // The file has every matching entry even though removals failed.
    const restored = await stores.run('cache', 'restore', 'm', '--json');
    expect(restored.json()).toMatchObject({ entries: ENTRIES, complete: true });
  });

  test('stops on a full disk before removing entries that are not in the file', async () => {
    const real = file();
    let appended = 0;
    const full: PrivateFile = {
      ...real,
      append: async (text) => {
        // The head, a chunk, and half of another.
        if (++appended < 3) return real.append(text);
        await real.append(text.slice(0, text.length / 2));
        throw new JwtctlError('ERR_FILE_UNWRITABLE', 'The file m cannot be written (ENOSPC).');
      },
    };
    const report = await runFlush({ file: full });
    expect(report).toMatchObject({
      ...{ removed: MAX_CHUNK_ENTRIES, complete: false, missed: [expect.stringContaining('ENOSPC')] },
    });
    expect(await expectNothingLost()).toEqual({
      ...{ inFile: MAX_CHUNK_ENTRIES, left: ENTRIES - MAX_CHUNK_ENTRIES },
    });
    expect((await readBackup()).lost).toEqual([expect.stringContaining('ends after chunk 1')]);
  });

  test('reports a backup without its last line as incomplete', async () => {
    const real = file();
    let appended = 0;
    const full: PrivateFile = {
      ...real,
      append: (text) =>
        ++appended < 5
          ? real.append(text)
          : Promise.reject(new JwtctlError('ERR_FILE_UNWRITABLE', 'No room (ENOSPC).')),
    };
    expect(await runFlush({ file: full })).toMatchObject({
      ...{ removed: ENTRIES, complete: false, missed: [expect.stringContaining('last line')] },
    });
    expect((await readBackup()).jtis).toEqual(everything);
  });

  test('removes nothing and leaves no file if the audit row cannot be written', async () => {
    const database = { ...ports.database, transaction: () => Promise.reject(unreachable()) };
    const attempt = flush(
      { ...ports, database },
      { filter: {}, target: 'all' },
      {
        backups: await context.backups(),
        file: file(),
      },
    );
    await expect(attempt).rejects.toMatchObject({ code: 'ERR_REDIS_UNREACHABLE' });
    expect(() => readFileSync(join(stores.home, 'm'))).toThrow('ENOENT');
    expect(await liveJtis()).toEqual(everything);
  });

  test('finds the kid of a key created during the scan', async () => {
    const keys = ports.database.keys;
    let reads = 0;
    const database = {
      ...ports.database,
      // The first read returns no keys.
      keys: Object.assign(Object.create(keys), {
        snapshot: async () => (++reads === 1 ? { revision: 0, keys: [] } : keys.snapshot()),
      }),
    };
    const into = { backups: await context.backups(), file: file() };
    expect(await takeSnapshot({ ...ports, database }, into, {})).toMatchObject({
      ...{ entries: ENTRIES, subjects: SUBJECTS + 1, complete: true },
      byKid: [{ kid: 'k1', state: 'active', entries: ENTRIES }],
    });
    expect(reads).toBe(2);
    expect(await liveJtis()).toEqual(everything);
  });

  test('an interrupted snapshot keeps the entries read so far', async () => {
    const controller = new AbortController();
    const real = file();
    let appended = 0;
    const watched: PrivateFile = {
      ...real,
      append: async (text) => {
        await real.append(text);
        if (++appended === 2) controller.abort();
      },
    };
    const report = await takeSnapshot(
      ports,
      { backups: await context.backups(), file: watched },
      {
        signal: controller.signal,
      },
    );
    expect(report).toMatchObject({ entries: MAX_CHUNK_ENTRIES, complete: false });
    const { jtis, lost } = await readBackup();
    expect([jtis.length, lost]).toEqual([
      ...[MAX_CHUNK_ENTRIES, [expect.stringContaining('did not finish')]],
    ]);
  });
});

function withReplaced(registry: TokenRegistry, replaced: Partial<TokenRegistry>): TokenRegistry {
  return new Proxy(registry, {
    get: (target, name) => {
      const own = replaced[name as keyof TokenRegistry];
      if (own !== undefined) return own;
      const value = Reflect.get(target, name, target);
      return typeof value === 'function' ? value.bind(target) : value;
    },
  });
}
