import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { spawnCli } from '../support/spawned.js';
import { BACKENDS, openStores, type Stores } from '../support/stores.js';

interface Report {
  rotated: boolean;
  reason: string;
  active: string;
  previous: string | null;
}

describe.each(BACKENDS)('eight rotations at once on %s', (backend) => {
  let stores: Stores;
  beforeAll(async () => {
    stores = await openStores(backend);
    await stores.json('keys', 'generate');
  });
  afterAll(() => stores?.close());

  async function rotateAtOnce(...flags: string[]): Promise<Report[]> {
    const { env } = stores;
    const runs = Array.from({ length: 8 }, () => spawnCli(['keys', 'rotate', ...flags, '--json'], { env }));
    const ended = await Promise.all(runs);
    for (const { exitCode, stderr } of ended) {
      expect({ exitCode, stderr: stderr.replace(/^The key that signs now .*\n$/, '') }).toEqual({
        exitCode: 0,
        stderr: '',
      });
    }
    return ended.map(({ json }) => json());
  }

  async function activeKids(): Promise<string[]> {
    const rows = await stores.query("SELECT kid FROM keystore WHERE state = 'active'");
    return rows.map(({ kid }) => String(kid));
  }

  test('leave one active key; each rotation is told once, and the losers are polite', async () => {
    for (let round = 0; round < 2; round++) {
      const before = await stores.query(
        "SELECT seq FROM audit_log WHERE action = 'keys.rotate' AND outcome = 'active'",
      );
      const reports = await rotateAtOnce('--now');

      const winners = reports.filter(({ rotated }) => rotated);
      const losers = reports.filter(({ rotated }) => !rotated);
      expect(winners.length).toBeGreaterThan(0);
      expect(losers.every(({ reason, previous }) => reason === 'lost_race' && previous === null)).toBe(true);
      expect(await activeKids()).toHaveLength(1);
      expect(new Set(winners.map(({ active }) => active)).size).toBe(winners.length);
      const after = await stores.query(
        "SELECT seq FROM audit_log WHERE action = 'keys.rotate' AND outcome = 'active'",
      );
      expect(after.length - before.length).toBe(winners.length);
      const { kid } = await stores.json('token', 'issue', '--sub', 'alice', '--create-user');
      expect(await activeKids()).toEqual([kid]);
    }
  }, 60_000);

  test('that are not due leave the keys as they are', async () => {
    const before = await stores.query('SELECT kid, state FROM keystore ORDER BY kid');
    const reports = await rotateAtOnce();

    expect(reports.map(({ reason }) => reason)).toEqual(Array(8).fill('not_due'));
    expect(await stores.query('SELECT kid, state FROM keystore ORDER BY kid')).toEqual(before);
  }, 60_000);
});
