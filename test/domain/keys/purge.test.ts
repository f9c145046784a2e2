import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { compromiseKey } from '../../../src/domain/keys/compromise.js';
import { generateKeys } from '../../../src/domain/keys/generate.js';
import { findPurgeable, purgeKeys } from '../../../src/domain/keys/purge.js';
import { retireKey } from '../../../src/domain/keys/retire.js';
import { type EmbeddedService, openEmbeddedService, POLICY } from '../../support/embedded-service.js';

const DAY = 86_400;

let service: EmbeddedService;

/** An active and a pending key; one key retired a day ago, one retired now, and one compromised earlier. */
beforeEach(async () => {
  service = await openEmbeddedService();
  const options = { alg: 'RS256', bits: 2048, count: 1, maxTtlSeconds: POLICY.maxTtlSeconds } as const;
  for (const kid of ['leaked', 'older', 'newer', 'next']) {
    await generateKeys(service.ports, { ...options, kid });
  }
  const policy = { ...POLICY, publishLeadSeconds: 1 };
  const input = { reason: 'leaked', policy, alg: 'RS256', bits: 2048, dryRun: false } as const;
  await compromiseKey(service.ports, { ...input, kid: 'leaked' });
  await retire('older');
  service.clock.advance(DAY);
  await retire('newer');
});
afterEach(() => service.close());

const retire = (kid: string) =>
  retireKey(service.ports, { kid, force: false, dryRun: false, clockToleranceSeconds: 0 });
const purge = async (olderThanSeconds: number) => {
  const purged = await purgeKeys(service.ports, await findPurgeable(service.ports, olderThanSeconds), POLICY);
  return purged.map(({ kid }) => kid);
};
const kids = async () => (await service.database.keys.snapshot()).keys.map(({ kid }) => kid);

describe('purge', () => {
  test('removes only the rows of retired keys', async () => {
    expect(await purge(0)).toEqual(['older', 'newer']);
    expect(await kids()).toEqual(['k1', 'leaked', 'next']);
  });

  test('respects olderThanSeconds to the second', async () => {
    expect(await purge(DAY + 1)).toEqual([]);
    expect(await purge(DAY)).toEqual(['older']);
    expect(await kids()).toEqual(['k1', 'leaked', 'newer', 'next']);
  });

  test('adds an audit row for each key', async () => {
    await purge(DAY);
    const rows = await service.db.selectFrom('audit_log').selectAll().execute();
    const [row, ...others] = rows.filter(({ action }) => action === 'keys.purge');
    expect(row).toMatchObject({
      actor: 'test',
      target: 'older',
      outcome: 'removed',
      at: service.clock.now(),
    });
    expect(others).toEqual([]);
  });

  test('removes and records each key once in concurrent runs', async () => {
    const purged = await Promise.all(Array.from({ length: 6 }, () => purge(0)));
    expect(purged.flat().sort()).toEqual(['newer', 'older']);
    const rows = await service.db.selectFrom('audit_log').selectAll().execute();
    expect(rows.filter(({ action }) => action === 'keys.purge')).toHaveLength(2);
  });

  test('keeps a new key under the kid of a key that was purged meanwhile', async () => {
    const purgeable = await findPurgeable(service.ports);
    await purge(DAY);
    const options = { alg: 'RS256', bits: 2048, count: 1, maxTtlSeconds: POLICY.maxTtlSeconds } as const;
    await generateKeys(service.ports, { ...options, kid: 'older' });
    expect((await purgeKeys(service.ports, purgeable, POLICY)).map(({ kid }) => kid)).toEqual(['newer']);
    expect(await kids()).toContain('older');
  });
});
