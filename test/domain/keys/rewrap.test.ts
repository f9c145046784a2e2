import { randomBytes } from 'node:crypto';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { systemClock } from '../../../src/app/clock.js';
import { compromiseKey } from '../../../src/domain/keys/compromise.js';
import { generateKeys } from '../../../src/domain/keys/generate.js';
import { type RewrappingPorts, rewrapKeys } from '../../../src/domain/keys/rewrap.js';
import type { Sealer } from '../../../src/domain/ports/index.js';
import { JwtctlError } from '../../../src/domain/shared/errors.js';
import { type EmbeddedService, openEmbeddedService, POLICY } from '../../support/embedded-service.js';
import { newSealer } from '../../support/sealer.js';

const newLine = () => randomBytes(32).toString('base64');
const sealerOf = (...lines: string[]) => newSealer({ kind: 'value', text: lines.join('\n') }, systemClock);

const OLD = newLine();
const NEW = newLine();
const old = sealerOf(OLD);
const both = sealerOf(NEW, OLD);
const onlyNew = sealerOf(NEW);

let service: EmbeddedService;

/** Three keys under the old master key, and k1 under a lost one. */
beforeEach(async () => {
  service = await openEmbeddedService();
  const options = { alg: 'RS256', bits: 2048, count: 1, maxTtlSeconds: POLICY.maxTtlSeconds } as const;
  for (const kid of ['k2', 'k3', 'k4']) {
    await generateKeys({ ...service.ports, sealer: old }, { ...options, kid });
  }
});
afterEach(() => service.close());

const portsWith = (sealer: Sealer): RewrappingPorts => ({ ...service.ports, sealer });
const rewrap = (sealer: Sealer, input: { dryRun?: boolean; signal?: AbortSignal } = {}) =>
  rewrapKeys(portsWith(sealer), { dryRun: false, ...input });

/** Returns by kid the master key ids in the JWE and in the column. */
async function masterKeys(): Promise<Record<string, readonly [string, string | null]>> {
  const { keys } = await service.database.keys.snapshot();
  const ids = keys.map(async ({ kid, masterKeyId }) => {
    const sealed = (await service.database.keys.findSealed(kid)) ?? '';
    return [kid, [sealed === '' ? '' : both.openingKeyId(kid, sealed), masterKeyId]] as const;
  });
  return Object.fromEntries(await Promise.all(ids));
}

async function audited() {
  const rows = await service.db.selectFrom('audit_log').selectAll().execute();
  return rows
    .filter(({ action }) => action === 'keys.rewrap')
    .map(({ target, outcome, reason }) => [target, outcome, reason]);
}

describe('rewrap', () => {
  test('moves every private key under the first master key', async () => {
    const [from, to] = [await old.sealingKeyId(), await both.sealingKeyId()];
    const privateKeys = await Promise.all(
      ['k2', 'k3', 'k4'].map(async (kid) => old.open(kid, await sealedOf(kid))),
    );
    const report = await rewrap(both);
    expect(report).toMatchObject({ masterKeyId: to, rewrapped: ['k2', 'k3', 'k4'], unchanged: [], left: [] });
    for (const [index, kid] of ['k2', 'k3', 'k4'].entries()) {
      expect(await onlyNew.open(kid, await sealedOf(kid))).toEqual(privateKeys[index]);
      await expect(old.open(kid, await sealedOf(kid))).rejects.toMatchObject({
        code: 'ERR_MASTER_KEY_UNKNOWN',
      });
    }
    expect(await masterKeys()).toMatchObject({ k2: [to, to], k3: [to, to], k4: [to, to] });
    expect(await audited()).toEqual(['k2', 'k3', 'k4'].map((kid) => [kid, 'done', `from ${from} to ${to}`]));
  });

  test('reports a key that does not open, and moves the others', async () => {
    const before = await sealedOf('k1');
    const report = await rewrap(both);
    expect(report.failed).toMatchObject([{ kid: 'k1', code: 'ERR_MASTER_KEY_UNKNOWN' }]);
    expect(report.rewrapped).toEqual(['k2', 'k3', 'k4']);
    expect(await sealedOf('k1')).toBe(before);
  });

  test('changes nothing the second time', async () => {
    await rewrap(both);
    const before = await service.db.selectFrom('keystore').selectAll().execute();
    const report = await rewrap(both);
    expect(report).toMatchObject({ rewrapped: [], unchanged: ['k2', 'k3', 'k4'] });
    expect(await service.db.selectFrom('keystore').selectAll().execute()).toEqual(before);
    expect(await audited()).toHaveLength(3);
  });

  test('reads the master key id from the JWE, not from the column', async () => {
    const to = await both.sealingKeyId();
    await service.db.updateTable('keystore').set({ master_key_id: to }).where('kid', '=', 'k3').execute();
    expect((await rewrap(both)).rewrapped).toContain('k3');
    expect((await masterKeys()).k3).toEqual([to, to]);
  });

  test('skips a key without a private key', async () => {
    await compromiseKey(service.ports, {
      kid: 'k3',
      reason: 'leaked',
      policy: { ...POLICY, publishLeadSeconds: 1 },
      alg: 'RS256',
      bits: 2048,
      dryRun: false,
    });
    const { rewrapped, unchanged, failed } = await rewrap(both);
    expect([rewrapped, unchanged, failed.map(({ kid }) => kid)]).toEqual([['k2', 'k4'], [], ['k1']]);
    expect(await service.database.keys.findSealed('k3')).toBeNull();
  });

  test('does not restore a private key that is wiped during the run', async () => {
    const wiping: Sealer = {
      open: (kid, sealed) => both.open(kid, sealed),
      openingKeyId: (kid, sealed) => both.openingKeyId(kid, sealed),
      sealingKeyId: () => both.sealingKeyId(),
      assertSeals: () => both.assertSeals(),
      seal: async (kid, pkcs8) => {
        const { revision } = await service.database.keys.snapshot();
        const transition = { kid, from: 'pending', to: 'retired', at: service.clock.now() } as const;
        await service.database.keys.apply(revision, [transition]);
        return both.seal(kid, pkcs8);
      },
    };
    expect(await rewrap(wiping)).toMatchObject({ rewrapped: [], unchanged: [] });
    for (const kid of ['k2', 'k3', 'k4']) expect(await service.database.keys.findSealed(kid)).toBeNull();
    expect(await audited()).toEqual([]);
  });

  test('lists the remaining keys after an interruption, and the next run moves them', async () => {
    const interrupt = new AbortController();
    const interrupting: Sealer = {
      open: (kid, sealed) => both.open(kid, sealed),
      openingKeyId: (kid, sealed) => both.openingKeyId(kid, sealed),
      sealingKeyId: () => both.sealingKeyId(),
      assertSeals: () => both.assertSeals(),
      seal: (kid, pkcs8) => {
        interrupt.abort();
        return both.seal(kid, pkcs8);
      },
    };
    expect(await rewrap(interrupting, { signal: interrupt.signal })).toMatchObject({
      rewrapped: ['k2'],
      left: ['k3', 'k4'],
    });
    expect(await rewrap(both)).toMatchObject({ rewrapped: ['k3', 'k4'], unchanged: ['k2'], left: [] });
  });

  test('stops if the vault becomes unreachable, and keeps the keys already moved', async () => {
    let sealed = 0;
    const failing: Sealer = {
      open: (kid, jwe) => both.open(kid, jwe),
      openingKeyId: (kid, jwe) => both.openingKeyId(kid, jwe),
      sealingKeyId: () => both.sealingKeyId(),
      assertSeals: () => both.assertSeals(),
      seal: (kid, pkcs8) => {
        sealed += 1;
        if (sealed === 2) throw new JwtctlError('ERR_MASTER_KEY_COMMAND_FAILED', 'away');
        return both.seal(kid, pkcs8);
      },
    };
    await expect(rewrap(failing)).rejects.toMatchObject({ code: 'ERR_MASTER_KEY_COMMAND_FAILED' });
    expect((await rewrap(both)).unchanged).toEqual(['k2']);
  });

  test('opens the keys in a dry run and changes nothing', async () => {
    const before = await masterKeys();
    const report = await rewrap(both, { dryRun: true });
    expect(report).toMatchObject({ rewrapped: ['k2', 'k3', 'k4'], failed: [{ kid: 'k1' }] });
    expect(await masterKeys()).toEqual(before);
    expect(await audited()).toEqual([]);
  });
});

async function sealedOf(kid: string): Promise<string> {
  return (await service.database.keys.findSealed(kid)) ?? '';
}
