import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { temporaryFolder } from '../support/cli.js';
import { RACES } from '../support/repetitions.js';
import { spawnCli } from '../support/spawned.js';
import { openStartingLine } from '../support/starting-line.js';
import { BACKENDS, openStores, type Stores, writeMasterKey } from '../support/stores.js';

interface Report {
  rotated: boolean;
  reason: string;
  active: string;
  previous: string | null;
}

describe.each(BACKENDS)('rotations at once on %s', (backend) => {
  const masterKey = writeMasterKey(temporaryFolder());
  let stores: Stores;

  beforeAll(async () => {
    stores = await openStores(backend, { JWTCTL_MASTER_KEY_FILE: masterKey });
    await stores.json('keys', 'generate', '--count', '2');
  });
  afterAll(() => stores?.close());

  async function rotateAtOnce(count: number, flags: string[], env = stores.env): Promise<Report[]> {
    const words = ['keys', 'rotate', ...flags, '--json'];
    // Together they need the processor for longer than one alone may take.
    const runs = Array.from({ length: count }, () => spawnCli(words, { env, killAfterMs: 120_000 }));
    const ended = await Promise.all(runs);
    for (const { exitCode, signal, stderr } of ended)
      expect({ exitCode, signal, stderr }).toEqual({ exitCode: 0, signal: null, stderr: '' });
    return ended.map(({ json }) => json());
  }

  /** As if `minutes` had passed. */
  async function age(minutes: number): Promise<void> {
    const seconds = String(minutes * 60);
    await stores.query('UPDATE keystore SET created_at = created_at - ?, activated_at = activated_at - ?', [
      seconds,
      seconds,
    ]);
  }

  /** The kids that signed, the last one first. */
  async function audited(): Promise<string[]> {
    const rows = await stores.query(
      "SELECT target FROM audit_log WHERE action = 'keys.rotate' AND outcome = 'active' ORDER BY seq DESC",
    );
    return rows.map(({ target }) => String(target));
  }

  async function states(): Promise<Array<{ kid: string; state: string }>> {
    const rows = await stores.query('SELECT kid, state FROM keystore ORDER BY position');
    return rows.map(({ kid, state }) => ({ kid: String(kid), state: String(state) }));
  }

  async function kidsIn(state: string): Promise<string[]> {
    return (await states()).filter((key) => key.state === state).map(({ kid }) => kid);
  }

  /** One of them gave signing to the key that was pending, and all others say that it signs. */
  async function assertOneRotated(reports: Report[], before: { pending: string[]; audited: string[] }) {
    const winners = reports.filter(({ rotated }) => rotated);
    expect(winners).toHaveLength(1);
    const [active] = before.pending;
    expect(reports.map((report) => report.active)).toEqual(reports.map(() => active));
    expect(await kidsIn('active')).toEqual([active]);
    expect(await kidsIn('pending')).toHaveLength(1);
    expect(await audited()).toEqual([active, ...before.audited]);
    const { kid } = await stores.json('token', 'issue', '--sub', 'alice', '--create-user');
    expect(kid).toBe(active);
  }

  test.each(Array.from({ length: RACES }, (_, index) => index + 1))(
    'of thirty-two that find the active key due one rotates, and the others are polite: race %i',
    async () => {
      await age(12);
      const before = { pending: await kidsIn('pending'), audited: await audited() };
      // Minutes and not seconds: on a busy machine the last one may begin when the first one's key is ten seconds old.
      const reports = await rotateAtOnce(32, ['--if-older-than', '10m', '--keys-publish-lead', '1m']);

      await assertOneRotated(reports, before);
      for (const { rotated, reason, previous } of reports) {
        expect(reason).toMatch(rotated ? /^due$/ : /^(lost_race|not_due)$/);
        expect(previous === null).toBe(!rotated);
      }
    },
    180_000,
  );

  test('of eight that are to rotate now, and have all read the same keys, one does', async () => {
    await age(12);
    const before = { pending: await kidsIn('pending'), audited: await audited() };
    const line = openStartingLine(masterKey);
    const { JWTCTL_MASTER_KEY_FILE: _file, ...env } = stores.env;
    // The time-out is also that of the command, which the first one runs until the last one is there.
    const waiting = { ...env, JWTCTL_MASTER_KEY_COMMAND: line.command, JWTCTL_TIMEOUT: '60s' };
    const rotating = rotateAtOnce(8, ['--now'], waiting);
    // One that fails instead of waiting says why.
    await Promise.race([line.release(8), rotating]);
    const reports = await rotating;

    await assertOneRotated(reports, before);
    expect(reports.map(({ reason }) => reason).sort()).toEqual(['forced', ...Array(7).fill('lost_race')]);
  }, 180_000);

  test('of four that are not due none changes anything', async () => {
    const before = await states();
    const reports = await rotateAtOnce(4, []);
    expect(reports.map(({ reason }) => reason)).toEqual(Array(4).fill('not_due'));
    expect(await states()).toEqual(before);
  }, 60_000);
});
