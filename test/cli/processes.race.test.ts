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

describe.each(BACKENDS)('concurrent rotations on %s', (backend) => {
  const masterKey = writeMasterKey(temporaryFolder());
  let stores: Stores;

  beforeAll(async () => {
    stores = await openStores(backend, { JWTCTL_MASTER_KEY_FILE: masterKey });
    await stores.json('keys', 'generate', '--count', '2');
  });
  afterAll(() => stores?.close());

  async function rotateAtOnce(count: number, flags: string[], env = stores.env): Promise<Report[]> {
    const words = ['keys', 'rotate', ...flags, '--json'];
    // Together, they need the processor for longer than the limit of a single command.
    const runs = Array.from({ length: count }, () => spawnCli(words, { env, killAfterMs: 120_000 }));
    const ended = await Promise.all(runs);
    for (const { exitCode, signal, stderr } of ended)
      expect({ exitCode, signal, stderr }).toEqual({ exitCode: 0, signal: null, stderr: '' });
    return ended.map(({ json }) => json());
  }

  /** Moves all times back by `minutes`. */
  async function age(minutes: number): Promise<void> {
    const seconds = String(minutes * 60);
    await stores.query('UPDATE keystore SET created_at = created_at - ?, activated_at = activated_at - ?', [
      seconds,
      seconds,
    ]);
  }

  /** Returns the kids that have signed, latest first. */
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

  /** Expects that one run activated the pending key, and that all others report it as active. */
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
    'one of 32 due rotations rotates, and the others exit 0: race %i',
    async () => {
      await age(12);
      const before = { pending: await kidsIn('pending'), audited: await audited() };
      // Minutes, because on a busy machine the last run may begin when the first one's key is ten seconds old.
      const reports = await rotateAtOnce(32, ['--if-older-than', '10m', '--keys-publish-lead', '1m']);

      await assertOneRotated(reports, before);
      for (const { rotated, reason, previous } of reports) {
        expect(reason).toMatch(rotated ? /^due$/ : /^(lost_race|not_due)$/);
        expect(previous === null).toBe(!rotated);
      }
    },
    180_000,
  );

  test('one of eight forced rotations that read the same keys rotates', async () => {
    await age(12);
    const before = { pending: await kidsIn('pending'), audited: await audited() };
    const line = openStartingLine(masterKey);
    const { JWTCTL_MASTER_KEY_FILE: _file, ...env } = stores.env;
    // Also the time limit of the command, which the first run executes until the last run is there.
    const waiting = { ...env, JWTCTL_MASTER_KEY_COMMAND: line.command, JWTCTL_TIMEOUT: '60s' };
    const rotating = rotateAtOnce(8, ['--now'], waiting);
    // A run that fails instead of waiting reports why.
    await Promise.race([line.release(8), rotating]);
    const reports = await rotating;

    await assertOneRotated(reports, before);
    expect(reports.map(({ reason }) => reason).sort()).toEqual(['forced', ...Array(7).fill('lost_race')]);
  }, 180_000);

  test('four rotations that are not due change nothing', async () => {
    const before = await states();
    const reports = await rotateAtOnce(4, []);
    expect(reports.map(({ reason }) => reason)).toEqual(Array(4).fill('not_due'));
    expect(await states()).toEqual(before);
  }, 60_000);
});
