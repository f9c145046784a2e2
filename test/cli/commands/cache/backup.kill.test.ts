import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { Context } from '../../../../src/app/context.js';
import type { Registration, TokenRegistry } from '../../../../src/domain/ports/index.js';
import { planKills } from '../../../support/kills.js';
import { openContext } from '../../../support/opened-context.js';
import { keyIds } from '../../../support/planted-entries.js';
import { KILLS } from '../../../support/repetitions.js';
import { BACKENDS, openStores, type Stores } from '../../../support/stores.js';

const SUBJECTS = 3_000;
/** A few chunks. */
const ENTRIES = 20_000;

describe.each(BACKENDS)(
  'cache flush --backup, killed at any moment, on %s',
  { timeout: 120_000 + KILLS * 20_000 },
  (backend) => {
    let stores: Stores;
    let context: Context;
    let registrations: Registration[];

    beforeEach(async () => {
      stores = await openStores(backend);
      await stores.json('keys', 'generate', '--kid', 'k1');
      context = await openContext(stores);
      const { k1: keyId = 0 } = await keyIds(stores);
      const now = Math.floor(Date.now() / 1000);
      registrations = Array.from({ length: ENTRIES }, (_, index) => ({
        sub: `s${index % SUBJECTS}`,
        entry: { jti: `j${index}`, keyId, iat: now - 10, exp: now + 3_600 },
        now,
      }));
      await (await context.registry()).registerMany(registrations);
    });
    afterEach(async () => {
      await context?.dispose();
      await stores?.close();
    });

    test('loses nothing: removed entries are in the file', async ({ annotate }) => {
      const registry = await context.registry();
      const words = (name: string) => [
        'cache',
        'flush',
        '--all',
        '--yes',
        '--backup',
        join(stores.home, name),
      ];
      const kills = await planKills(stores, words('whole'));
      expect((await readBackup('whole')).jtis).toHaveLength(ENTRIES);
      const tally: string[] = [];
      let hits = 0;
      let midway = 0;
      for (const [index, delayMs] of kills.delaysMs.entries()) {
        await registry.registerMany(registrations);
        const { where, isHit } = await kills.kill(words(`m${index}`), delayMs);

        const left = await living(registry);
        const { jtis, isWhole } = existsSync(join(stores.home, `m${index}`))
          ? await readBackup(`m${index}`)
          : { jtis: [], isWhole: false };
        const known = new Set([...left, ...jtis]);
        expect(known.size, where).toBe(ENTRIES);
        if (left.length > 0) expect(isWhole, where).toBe(false);
        if (isHit) hits += 1;
        if (isHit && left.length > 0 && left.length < ENTRIES) midway += 1;
        tally.push(`${left.length} left and ${jtis.length} in the backup`);

        // The next run removes the rest. Together, both files contain all entries.
        const again = `again${index}`;
        const next = await stores.run(...words(again), '--json');
        expect([next.exitCode, next.json().removed], where).toEqual([0, left.length]);
        expect(await living(registry), where).toEqual([]);
        expect(new Set([...jtis, ...(await readBackup(again)).jtis]).size, where).toBe(ENTRIES);
      }
      expect(hits).toBeGreaterThan(0);
      await annotate(`${hits} of ${kills.delaysMs.length} killed, ${midway} midway: ${tally.join('; ')}`);
    });

    async function readBackup(name: string): Promise<{ jtis: string[]; isWhole: boolean }> {
      const bytes = readFileSync(join(stores.home, name));
      // No entry is removed before the first line is on the disk.
      if (!bytes.includes('\n')) return { jtis: [], isWhole: false };
      const reader = await (await context.backups()).open(
        (async function* () {
          yield bytes;
        })(),
        name,
      );
      const jtis: string[] = [];
      let isWhole = true;
      for await (const part of reader.parts()) {
        if (part.kind === 'entries') jtis.push(...part.entries.map(({ jti }) => jti));
        else isWhole = false;
      }
      return { jtis, isWhole };
    }
  },
);

async function living(registry: TokenRegistry): Promise<string[]> {
  const jtis: string[] = [];
  const outcome = await registry.scan(
    (subjects) => {
      jtis.push(...subjects.flatMap(({ entries }) => entries.map(({ jti }) => jti)));
    },
    { now: Math.floor(Date.now() / 1000) },
  );
  expect(outcome).toMatchObject({ complete: true });
  return jtis;
}
